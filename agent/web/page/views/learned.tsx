// What was learned of a device, as YAML to paste.

import { useState } from "preact/hooks";
import type { Device } from "../api/types.ts";
import { t } from "../words/index.ts";

export function Learned({ device }: { device: Device }) {
  const [copied, setCopied] = useState(false);
  const { learned } = device;
  if (!learned) return null;
  return (
    <section aria-labelledby="learned">
      <div class="head">
        <h2 id="learned">{t("learned")}</h2>
        {isSecureContext && (
          <button
            type="button"
            onClick={() => void navigator.clipboard.writeText(learned).then(() => setCopied(true))}
          >
            {t(copied ? "copied" : "copy")}
          </button>
        )}
      </div>
      <p>{t("paste")}</p>
      <pre tabIndex={0}>{learned}</pre>
    </section>
  );
}
