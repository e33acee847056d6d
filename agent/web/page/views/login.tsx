// The form for the token, beyond loopback.

import { useState } from "preact/hooks";
import type { Connection } from "../live/link.ts";
import { type Got, post } from "../live/world.ts";
import { Marked } from "../parts/marked.tsx";
import { t } from "../words/index.ts";

const TRIES = 5;

export function Login({ connection }: { connection: Connection }) {
  const [token, setToken] = useState("");
  const [trouble, setTrouble] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    let answer = await post<{ error?: string }>("/api/v1/login", { token });
    for (let tries = 0; answer.code === 503 && tries < TRIES; tries++) {
      // A busy disk did not give the token in time.
      await new Promise((then) => setTimeout(then, 1000));
      answer = await post("/api/v1/login", { token });
    }
    setBusy(false);
    if (answer.code === 200) connection.again();
    else setTrouble(words(answer));
  };
  return (
    <form class="login" onSubmit={(event) => void submit(event)}>
      <h1>{t("login")}</h1>
      <p>
        <Marked text={t("login_why")} />
      </p>
      <label for="token">{t("token")}</label>
      <input
        id="token"
        type="password"
        autocomplete="current-password"
        required
        value={token}
        aria-describedby="trouble"
        onInput={(event) => setToken(event.currentTarget.value)}
      />
      <p id="trouble" class="trouble" role="alert">{trouble}</p>
      <button type="submit" disabled={busy || !token}>{t("login")}</button>
    </form>
  );
}

function words(answer: Got<{ error?: string }>): string {
  if (answer.code === 0) return t("login_no_answer");
  if (answer.code === 401) return t("login_wrong");
  if (answer.code === 429) return t("login_wait", { n: Number(answer.headers.get("Retry-After") ?? 30) });
  return t("login_refused", { why: answer.body?.error ?? String(answer.code) });
}
