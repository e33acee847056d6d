// The configuration is shown as it would be written.

import { equal } from "../testing.ts";
import { yaml } from "./yaml.ts";

Deno.test("mappings, lists and what has to be quoted", () => {
  equal(
    yaml({ agent: { id: "gw-01", location: ["acme", "hall 2"], reload: "off" }, list: [{ a: 1, b: null }], none: {} }),
    'agent:\n  id: gw-01\n  location: [acme, "hall 2"]\n  reload: "off"\nlist:\n  - a: 1\n    b: null\nnone: {}\n',
  );
});
