// Both languages are complete.

import { equal } from "../testing.ts";
import { inChinese, meaning } from "./catalogue.ts";
import { en } from "./en.ts";
import { catalogues, choose, fill } from "./index.ts";
import { zh } from "./zh.ts";

function names(text: string): string[] {
  return [...text.matchAll(/\{(\w+)/g)].map((match) => match[1]!).sort();
}

Deno.test("both catalogues have the same keys, and each text the same values", () => {
  equal(Object.keys(zh), Object.keys(en));
  for (const [key, text] of Object.entries(en)) equal([key, names(zh[key as keyof typeof en])], [key, names(text)]);
});

Deno.test("no text is empty, and none is left in the other language", () => {
  for (const [language, words] of Object.entries(catalogues)) {
    for (const [key, text] of Object.entries(words)) if (!text.trim()) throw new Error(`${language}: ${key} is empty`);
  }
  const same = Object.keys(en).filter((key) => en[key as keyof typeof en] === zh[key as keyof typeof en]);
  equal(same, ["count_states"]);
});

Deno.test("the browser's first known language counts, unless somebody has switched", () => {
  equal(choose(["zh-CN", "en"], null), "zh");
  equal(choose(["de-DE", "en-US"], null), "en");
  equal(choose(["fr"], null), "en");
  equal(choose(["en"], "zh"), "zh");
});

Deno.test("numbers take their word", () => {
  equal(fill("{n:device:devices}", { n: 1 }, "en"), "1 device");
  equal(fill("{n:device:devices}", { n: 4000 }, "en"), "4,000 devices");
});

Deno.test("an event tells what its fields say, in words", () => {
  equal(
    meaning("x", "Lost: `reason`, see `edge-agent`.", { reason: "no answer" }),
    "Lost: no answer, see `edge-agent`.",
  );
});

Deno.test("a reason is translated part by part, whoever it names first", () => {
  equal(
    [
      "127.0.0.1:502: Connection refused",
      "not authorised to connect (0x87); its own words",
      "cycles are late because units 2, 3, 4 and 2 more on the same bus answer slowly",
    ].map(inChinese),
    [
      "127.0.0.1:502：连接被拒绝",
      "无权连接（0x87）；its own words",
      "同一总线上的单元 2, 3, 4 等另外 2 个 应答缓慢，周期延迟",
    ],
  );
});
