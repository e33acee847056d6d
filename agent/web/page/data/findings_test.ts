// Findings are told as an operator is to read them.

import type { Finding, Status } from "../api/types.ts";
import { equal } from "../testing.ts";
import { inChinese } from "../words/catalogue.ts";
import { speak } from "../words/index.ts";
import { tell } from "./findings.ts";

const NOW = 1_764_000_000_000;

export function finding(change: Partial<Finding>): Finding {
  return {
    event: "device.offline",
    what: "device",
    name: "press-01",
    since: NOW - 60_000,
    why: "no answer from unit 1 within 1 s",
    causes: ["silent"],
    costs: [],
    do: "Check the cable.",
    counts: true,
    behind: null,
    ...change,
  };
}

export function status(wrong: Finding[], change: Partial<Status> = {}): Status {
  const devices = Object.fromEntries(
    wrong.filter((one) => one.what === "device").map((one) => [one.name, { state: "offline", since: NOW, bad: [] }]),
  );
  return { ts: NOW, started: NOW - 3_600_000, devices, publishers: {}, wrong, ...change } as unknown as Status;
}

Deno.test("the same of several devices is told once, with the time of the first", () => {
  const found = tell(status([
    finding({ name: "m-10", since: NOW - 5000, why: "no answer from unit 1 within 1 s" }),
    finding({ name: "m-2", since: NOW - 9000, why: "no answer from unit 2 within 1 s" }),
  ]));
  equal(found.map((one) => one.title), ["2 devices are offline: \u2068m-2\u2069, \u2068m-10\u2069"]);
  equal(found[0]?.since, NOW - 9000);
  equal(found[0]?.lines.map((one) => one.word), ["why", "do"]);
});

Deno.test("who does not answer yet is told so, whatever its state is", () => {
  const state = { state: "online", since: NOW, bad: [] };
  const devices = { a: state, b: state } as unknown as Status["devices"];
  const wrong = ["a", "b"].map((name) => finding({ event: "device.unanswered", name, why: null, counts: false }));
  equal(tell(status(wrong, { devices })).map((one) => one.title), [
    "2 devices do not answer: \u2068a\u2069, \u2068b\u2069",
  ]);
});

Deno.test("several devices with bad tags: one tag of each, and why", () => {
  const bad = (reason: string) => [{ reason, code: null, tags: 1, examples: ["r7"] }];
  const devices = Object.fromEntries(
    Object.entries({ a: "illegal data address", b: "no answer" }).map((
      [name, reason],
    ) => [name, { state: "degraded", bad: bad(reason) }]),
  ) as unknown as Status["devices"];
  const wrong = ["a", "b"].map((name) => finding({ event: "device.degraded", name, why: "1 of 9 tags are bad" }));
  equal(
    tell(status(wrong, { devices }))[0]?.lines.filter((one) => one.word === "bad_tags_line").map((one) => one.text),
    [
      "\u2068a\u2069, r7: illegal data address",
      "\u2068b\u2069, r7: no answer",
    ],
  );
});

Deno.test("devices behind a dead gateway are told with it, not by themselves", () => {
  const bus = finding({
    event: "bus.lost",
    what: "bus",
    name: "tcp://10.0.0.9:502",
    costs: [{ kind: "devices", count: 40 }],
  });
  const found = tell(status([
    bus,
    ...Array.from({ length: 40 }, (_, n) => finding({ name: `m-${n}`, behind: "tcp://10.0.0.9:502" })),
  ]));
  const behind = [0, 1, 2, 3, 4, 5].map((n) => `\u2068m-${n}\u2069`).join(", ");
  equal(found.length, 1);
  equal(found[0]?.title, "tcp://10.0.0.9:502 does not answer");
  equal(found[0]?.lines[1]?.text, `40 devices are not read; ${behind} and 34 more`);
});

Deno.test("a hint of the agent stands under Do, not under Why", () => {
  const [one] = tell(
    status([finding({ why: "the certificate is not accepted -> edge-agent trust", do: "edge-agent trust" })]),
  );
  equal(one?.lines, [
    { word: "why", text: "the certificate is not accepted" },
    { word: "do", text: "edge-agent trust" },
  ]);
});

Deno.test("in Chinese, too, the hint of a reason goes before what is true of all", () => {
  const command = "edge-agent trust -c agent.yaml bfff";
  const why = "the server's certificate bfff is not accepted: nobody has trusted it";
  const devices = { a: { state: "offline", reason: `${why} -> ${command}`, bad: [] } } as unknown as Status["devices"];
  const held = "nobody subscribes to t, and on_no_subscriber is hold";
  const advice = "start what is to receive it, or write on_no_subscriber: accept";
  const publishers = { p: { refused: { a: `${held} -> ${advice}` } } } as unknown as Status["publishers"];
  const wrong = [
    finding({ event: "device.offline", name: "a", why, do: command }),
    finding({ event: "publisher.refused", what: "publisher", name: "p", why: held, do: advice }),
    finding({ event: "publisher.refused", what: "publisher", name: "q", why: "not authorized", do: "Read `reason`." }),
  ];
  const slow = "The device is slower than its interval: give it, or most of its tags, a longer `interval`.";
  wrong.push(finding({ event: "device.degraded", name: "b", why: "slow", causes: ["late"], do: slow }));
  speak("zh");
  const said = tell(status(wrong, { devices, publishers })).map((one) => one.lines.at(-1)?.text);
  const whole = inChinese(`${why} -> ${command}`);
  speak("en");
  equal(said.slice(0, 2), [command, "请启动接收数据的一方，或写 on_no_subscriber: accept"]);
  equal(said[2]?.startsWith("请看 “原因”一行"), true);
  equal(said[3]?.startsWith("设备达不到设定的周期"), true);
  equal(whole, `服务器证书 bfff 不被接受：尚未有人信任它 → ${command}`);
});
