// The form for the token, beyond loopback.

import { useEffect, useRef, useState } from "preact/hooks";
import type { Connection } from "../live/link.ts";
import { type Got, post } from "../live/world.ts";
import { Marked } from "../parts/marked.tsx";
import { recall, remember } from "../memory.ts";
import { t } from "../words/index.ts";

const TRIES = 5;
const LOGGED_IN = "edge-agent.login";

/** A login was asked for here: there is something to log out of. The cookie itself is not for scripts. */
export function loggedIn(): boolean {
  return recall(LOGGED_IN) !== null;
}

export async function logOut(connection: Connection): Promise<void> {
  const { code } = await patiently("api/v1/logout", {});
  if (code !== 204 && code !== 401) return; // the session stands: nobody is to believe otherwise
  remember(LOGGED_IN, null);
  connection.end();
}

/** A busy disk may not give the token in time. */
async function patiently(path: string, body: unknown): Promise<Got<{ error?: string }>> {
  let answer = await post<{ error?: string }>(path, body);
  for (let tries = 0; answer.code === 503 && tries < TRIES; tries++) {
    await new Promise((then) => setTimeout(then, 1000));
    answer = await post(path, body);
  }
  return answer;
}

export function Login({ connection }: { connection: Connection }) {
  const [token, setToken] = useState("");
  const [trouble, setTrouble] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), [trouble]);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setTrouble(null);
    const answer = await patiently("api/v1/login", { token });
    setBusy(false);
    if (answer.code === 200) {
      remember(LOGGED_IN, "1");
      connection.again();
      document.getElementById("content")?.focus(); // where it stands when what comes in place of the form is there
    } else setTrouble(words(answer));
  };
  return (
    <form class="login" onSubmit={(event) => void submit(event)}>
      <h1>{t("login")}</h1>
      <p>
        <Marked text={t("login_why")} />
      </p>
      <label for="token">{t("token")}</label>
      <input
        ref={field}
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
