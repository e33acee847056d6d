// JSON-able data as YAML to read, and to paste back. Pure.

const PLAIN = /^[A-Za-z_$/][A-Za-z0-9_.$/{}-]*$|^\d[A-Za-z0-9.]*$/;
const WORDS = new Set(["true", "false", "null", "yes", "no", "on", "off", "y", "n", ""]);

function scalar(value: unknown): string {
  if (typeof value !== "string") return JSON.stringify(value) ?? "null";
  const plain = PLAIN.test(value) && !WORDS.has(value.toLowerCase()) && Number.isNaN(Number(value));
  return plain ? value : JSON.stringify(value);
}

export function yaml(value: unknown, indent = ""): string {
  if (Array.isArray(value)) {
    if (!value.length) return `${indent}[]\n`;
    if (value.every((one) => one === null || typeof one !== "object")) {
      return `${indent}[${value.map(scalar).join(", ")}]\n`;
    }
    return value.map((one) => {
      if (one === null || typeof one !== "object") return `${indent}- ${scalar(one)}\n`;
      const inner = yaml(one, `${indent}  `);
      return `${indent}- ${inner.slice(indent.length + 2)}`;
    }).join("");
  }
  if (value !== null && typeof value === "object") {
    const entries = Object.entries(value);
    if (!entries.length) return `${indent}{}\n`;
    return entries.map(([key, one]) => {
      const empty = one !== null && typeof one === "object" && !Object.keys(one).length;
      const flat = Array.isArray(one) && one.every((part) => part === null || typeof part !== "object");
      if (one === null || typeof one !== "object") return `${indent}${scalar(key)}: ${scalar(one)}\n`;
      if (empty || flat) return `${indent}${scalar(key)}: ${yaml(one).trimStart()}`;
      return `${indent}${scalar(key)}:\n${yaml(one, `${indent}  `)}`;
    }).join("");
  }
  return `${indent}${scalar(value)}\n`;
}
