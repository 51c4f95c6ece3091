// The way in, where a token is set.
import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, login } from '../lib/api.ts';
import { Icon } from '../parts/icon.tsx';

export function Login({ site }: { site: string }): JSX.Element {
  const field = useRef<HTMLInputElement>(null);
  const [error, setError] = useState<string>();
  const [isBusy, setBusy] = useState(false);
  useEffect(() => {
    document.title = `Log in · ${site}`;
    field.current?.focus();
  }, [site]);

  async function submit(event: Event): Promise<void> {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    const token = field.current!.value.trim();
    const trouble = await login(token).then(
      (isRight) => (isRight ? undefined : 'This is not the admin token'),
      (failure: unknown) => (failure instanceof ApiError ? failure.message : String(failure)),
    );
    setBusy(false);
    if (trouble === undefined) return;
    setError(trouble);
    field.current?.select();
  }

  return (
    <main class="login">
      <form class="card" onSubmit={(event) => void submit(event)}>
        <img src="/favicon.svg" alt="" width="36" height="36" />
        <h1>{site}</h1>
        <p class="note">geo-registry-proxy</p>
        <input
          class="sr-only"
          type="text"
          autocomplete="username"
          value="admin"
          tabIndex={-1}
          aria-hidden="true"
          readOnly
        />
        <label htmlFor="token">Admin token</label>
        <input
          id="token"
          ref={field}
          type="password"
          autocomplete="current-password"
          required
          aria-describedby="token-help"
          {...(error === undefined ? {} : { 'aria-invalid': 'true', 'aria-errormessage': 'token-error' })}
        />
        <p id="token-error" class="login-error" role="alert">
          {error !== undefined && (
            <>
              <Icon name="error" size={14} /> {error}
            </>
          )}
        </p>
        <button type="submit" class="button is-primary" aria-disabled={isBusy}>
          {isBusy ? 'Logging in…' : 'Log in'}
        </button>
        <p id="token-help" class="note">
          The value of <code>GEO_ADMIN_TOKEN</code> on this site.
        </p>
      </form>
    </main>
  );
}
