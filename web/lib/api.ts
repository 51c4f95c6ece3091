// Questions to the admin listener, on the same origin; the session's cookie goes with them by itself.
import type { ActionAnswers, ActionName, Session } from '../contract.ts';
import { visibleText } from './format.ts';
import { createStore } from './store.ts';

/** Why a question got no answer; the message is for people. */
export class ApiError extends Error {
  readonly status: number;
  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

/** Whether a person must log in; `session` is undefined until it was asked for. */
export const access = createStore<{ session: Session | undefined; isClosed: boolean }>({
  session: undefined,
  isClosed: false,
});

async function failureOf(response: Response): Promise<ApiError> {
  const text = await response.text().catch(() => '');
  const body = text.startsWith('{') ? parseAnswer<{ error?: string }>(text) : undefined;
  return new ApiError(body?.error ?? `the proxy answered ${response.status}`, response.status);
}

async function ask(path: string, init: RequestInit): Promise<Response> {
  const response = await fetch(path, { cache: 'no-store', ...init }).catch(() => {
    throw new ApiError('no answer from the proxy', 0);
  });
  if (response.ok) return response;
  if (response.status === 401) access.set({ isClosed: true });
  throw await failureOf(response);
}

/** What the proxy sent; registries, clients and people have a part in its texts, which are made harmless to read. */
export function parseAnswer<T>(json: string): T {
  return JSON.parse(json, (_, value: unknown) => (typeof value === 'string' ? visibleText(value) : value)) as T;
}

export type Query = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** The path with those parameters that are given. */
export function withQuery(path: string, query: Query): string {
  const given = Object.entries(query).flatMap(([name, value]) =>
    value === undefined || value === null || value === '' ? [] : [[name, String(value)]],
  );
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`;
}

/** The JSON at a path. @throws ApiError */
export async function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  const response = await ask(withQuery(path, query), signal ? { signal } : {});
  return parseAnswer<T>(await response.text());
}

function post(path: string, body: object): Promise<Response> {
  return ask(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

/** What an action is for; all of the site when empty. */
export interface Scope {
  readonly repository?: string;
  readonly reference?: string;
  readonly digest?: string;
  /** What fails for this reason, as `/api/attention` groups it. */
  readonly cause?: string;
}

/** Runs an action, and gives what it answers. @throws ApiError */
export async function act<Name extends ActionName>(name: Name, scope: Scope = {}): Promise<ActionAnswers[Name]> {
  const response = await post(`/api/replication/${name}`, scope);
  return parseAnswer<ActionAnswers[Name]>(await response.text());
}

/** Asks whether a login is needed. @throws ApiError */
export async function openSession(): Promise<void> {
  const session = await get<Session>('/api/session');
  access.set({ session, isClosed: session.needsLogin });
}

/** Logs in; false where the token is wrong. @throws ApiError */
export async function login(token: string): Promise<boolean> {
  try {
    await post('/api/login', { token });
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return false;
    throw error;
  }
  await openSession();
  return true;
}

/** Ends the session of this browser. @throws ApiError */
export async function logout(): Promise<void> {
  await post('/api/logout', {});
  await openSession();
}
