// The page says what it is: live, polling, or of a time that has passed.

import { equal, FakeWorld, settled, someStatus } from "../testing.ts";
import { Connection, type Link } from "./link.ts";

function begun() {
  const world = new FakeWorld();
  const seen: { link: Link; statuses: number } = {
    link: { phase: "connecting", heard: null, lostSince: null },
    statuses: 0,
  };
  const connection = new Connection(world, {
    link: (link) => void (seen.link = link),
    status: () => void seen.statuses++,
    values: () => undefined,
  });
  connection.start();
  return { world, seen, connection, stream: () => world.streams.at(-1)! };
}

Deno.test("a stream that brings a status is live", () => {
  const { seen, stream, world } = begun();
  stream().events.status(someStatus);
  equal(seen.link, { phase: "live", heard: world.time, lostSince: null });
  equal(seen.statuses, 1);
});

Deno.test("a stream that falls silent is asked after, and lost since it was last heard", async () => {
  const { seen, stream, world } = begun();
  stream().events.status(someStatus);
  const heard = world.time;
  await world.pass(8000);
  equal(seen.link.phase, "lost");
  equal(seen.link.lostSince, heard);
  equal(stream().open, false);
});

Deno.test("what comes back is live again", async () => {
  const { seen, stream, world } = begun();
  await world.pass(8000);
  equal(seen.link.phase, "lost");
  world.answer = { code: 200, status: someStatus };
  await world.pass(3000);
  equal(world.streams.length, 2);
  stream().events.status(someStatus);
  equal(seen.link.phase, "live");
  equal(seen.link.lostSince, null);
});

Deno.test("a stream that is refused while the status answers: too many viewers, every 10 s, the stream again after 30 s", async () => {
  const { seen, stream, world } = begun();
  world.answer = { code: 200, status: someStatus };
  stream().events.closed(true);
  await settled();
  equal([seen.link.phase, world.asked, world.streams.length], ["polling", 1, 1]);
  await world.pass(11_000);
  equal([seen.link.phase, world.asked, world.streams.length], ["polling", 2, 1]);
  await world.pass(20_000);
  equal(world.streams.length, 2);
});

Deno.test("a stream that breaks while the status answers is opened again at once", async () => {
  const { stream, world } = begun();
  world.answer = { code: 200, status: someStatus };
  stream().events.closed(false);
  await settled();
  equal(world.streams.length, 2);
});

Deno.test("401 is the login form, and nothing is asked until somebody has logged in", async () => {
  const { seen, stream, world, connection } = begun();
  world.answer = { code: 401 };
  stream().events.closed(true);
  await settled();
  equal(seen.link.phase, "login");
  const { asked } = world;
  await world.pass(60_000);
  equal([world.asked, world.streams.length], [asked, 1]);
  connection.again();
  equal(world.streams.length, 2);
});

Deno.test("a hidden tab costs nothing, and asks at once when it wakes", async () => {
  const { seen, stream, world, connection } = begun();
  stream().events.status(someStatus);
  connection.show(false);
  equal([stream().open, seen.link.phase, world.pending], [false, "asleep", 0]);
  const { asked } = world;
  await world.pass(600_000);
  equal(world.asked, asked);
  connection.show(true);
  await settled();
  equal([seen.link.phase, world.asked], ["lost", asked + 1]);
  equal(seen.link.lostSince, seen.link.heard);
});

Deno.test("another device is another stream; what the old one still says does not count", () => {
  const { seen, stream, world, connection } = begun();
  const before = stream();
  connection.follow("press-01");
  equal([before.open, stream().device], [false, "press-01"]);
  before.events.status(someStatus);
  equal(seen.statuses, 0);
  equal(world.streams.length, 2);
});
