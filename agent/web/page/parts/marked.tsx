// Text of the catalogue: what stands between back quotes is to be typed as it is, an isolated name is that of a device.

import { addressOf } from "./hooks.ts";

export function Marked({ text }: { text: string }) {
  return <>{text.split("`").map((part, at) => at % 2 ? <code key={at}>{part}</code> : linked(part))}</>;
}

function linked(text: string) {
  return text.split(/\u2068(.*?)\u2069/).map((part, at) =>
    at % 2 ? <a key={at} href={addressOf("device", part)}>{part}</a> : part
  );
}
