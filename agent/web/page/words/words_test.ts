// Both languages are complete.

import { equal } from "../testing.ts";
import { inChinese, meaning } from "./catalogue.ts";
import { codes } from "./codes.ts";
import { en } from "./en.ts";
import events from "./events.zh.json" with { type: "json" };
import { catalogues, choose, fill } from "./index.ts";
import { reasons } from "./reasons.ts";
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

Deno.test("one Chinese word for one thing", () => {
  const said = [zh, events, reasons.map(([, text]) => text), Object.values(codes).map(([, text]) => text)];
  const text = JSON.stringify(said).replaceAll("服务单元文件", "");
  // 采集程序, 从站, 不确定, 消费者, MQTT 服务器, epoch, BIRTH, 密码, 组件, 哈希, 连入, 补发
  equal(
    text.match(/代理|单元|可疑|使用方|消息服务器|纪元|出生消息|机密|部件|散列|拨入|呼入|补数|补传|学到|数据点/g),
    null,
  );
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
      "no answer from unit 1 within 1 s, nor to anything since the connection was made " +
      "(some devices need `workarounds: {pause_after_connect: 2s}`)",
      "no answer: 01 03: what was sent came back (two-wire adapters need `workarounds: {echo: true}`)",
      "10.0.0.1:502: [Errno 113] No route to host",
      "its own word (see `a: b`)",
      "no answer from unit 1 within 0.5 s, only 3 bytes of it",
      "1,726 records of odd, meter-08 and 8 more from 2026-11-30T13:27:18Z to 2026-11-30T13:28:26Z lost, " +
      "outbox full at 64 KiB",
    ].map(inChinese),
    [
      "127.0.0.1:502：连接被拒绝",
      "无权连接（0x87）；its own words",
      "同一总线上的从站 2, 3, 4 等另外 2 个 应答缓慢，周期延迟",
      "从站 1 在 1 s 内没有应答，建立连接后也从未应答（有些设备需要 `workarounds: {pause_after_connect: 2s}`）",
      "收到的不是应答：01 03：收到的是自己发出的内容（两线制适配器需要 `workarounds: {echo: true}`）",
      "10.0.0.1:502：没有到该主机的路由",
      "its own word (see `a: b`)",
      "从站 1 在 0.5 s 内没有应答，只收到 3 个字节",
      "odd, meter-08 等另外 8 个 的 1,726 条记录已丢失（2026-11-30T13:27:18Z 至 2026-11-30T13:28:26Z）：发件箱已满（64 KiB）",
    ],
  );
});
