// The configuration is shown as it would be written.

import { equal } from "../testing.ts";
import { yaml } from "./yaml.ts";

Deno.test("a text that reads as a number or a word of YAML is quoted, sizes and durations are not", () => {
  equal(
    yaml({
      a: "1GiB",
      b: "30d",
      c: "127.0.0.1",
      d: "010",
      e: "1e5",
      f: "yes",
      g: "/data",
      h: "${TOKEN}",
      i: "2026-11-28",
    }),
    'a: 1GiB\nb: 30d\nc: 127.0.0.1\nd: "010"\ne: "1e5"\nf: "yes"\ng: /data\nh: ${TOKEN}\ni: "2026-11-28"\n',
  );
});

Deno.test("mappings, lists and what has to be quoted", () => {
  equal(
    yaml({ agent: { id: "gw-01", location: ["acme", "hall 2"], reload: "off" }, list: [{ a: 1, b: null }], none: {} }),
    'agent:\n  id: gw-01\n  location: [acme, "hall 2"]\n  reload: "off"\nlist:\n  - a: 1\n    b: null\nnone: {}\n',
  );
});
