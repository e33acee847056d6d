// Why a tag is not good, in words.

import type { Tag } from "../api/types.ts";
import { said } from "../words/catalogue.ts";
import { language } from "../words/index.ts";
import { codes } from "../words/codes.ts";

export function why(tag: Tag): string | null {
  const words = tag.code ? codes[tag.code]?.[language() === "zh" ? 1 : 0] : undefined;
  if (tag.reason) {
    return words && language() === "en" && words !== tag.reason ? `${said(tag.reason)} (${words})` : said(tag.reason);
  }
  return words ?? tag.code ?? null;
}
