// Text of the catalogue: what stands between back quotes is to be typed as it is.

export function Marked({ text }: { text: string }) {
  return <>{text.split("`").map((part, at) => at % 2 ? <code key={at}>{part}</code> : part)}</>;
}
