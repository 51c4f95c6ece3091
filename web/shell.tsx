// What is around each page: the bar with its links, the state of the connection, and what is said aloud.
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useErrorBoundary } from 'preact/hooks';
import { access, logout } from './lib/api.ts';
import { clockText } from './lib/format.ts';
import { judge, type Judgement } from './lib/judgement.ts';
import { connect, useLive } from './lib/live.ts';
import { useStore } from './lib/store.ts';
import { showInTab } from './lib/tab.ts';
import { nextTheme, theme, type Theme } from './lib/theme.ts';
import { Icon, type IconName } from './parts/icon.tsx';
import { Empty } from './parts/page.tsx';
import { Toasts } from './parts/toast.tsx';

const PAGES = [
  { path: '/', label: 'Overview' },
  { path: '/repositories', label: 'Repositories' },
  { path: '/attention', label: 'Attention' },
  { path: '/doctor', label: 'Doctor' },
] as const;

const THEMES: Readonly<Record<Theme, { icon: IconName; text: string }>> = {
  system: { icon: 'system', text: 'as the system' },
  light: { icon: 'sun', text: 'light' },
  dark: { icon: 'moon', text: 'dark' },
};

/** Pages below a link count as it. */
function isCurrent(link: string, path: string): boolean {
  return link === path || (link === '/repositories' && (path === '/repository' || path === '/image'));
}

function ThemeButton(): JSX.Element {
  const { icon, text } = THEMES[useStore(theme, (value) => value.chosen)];
  return (
    <button
      type="button"
      class="icon-button"
      onClick={nextTheme}
      aria-label={`Colours: ${text}`}
      title={`Colours: ${text}`}
    >
      <Icon name={icon} />
    </button>
  );
}

function LogoutButton(): JSX.Element | null {
  const canLogout = useStore(access, ({ session }) => session?.canLogout ?? false);
  if (!canLogout) return null;
  return (
    <button type="button" class="icon-button" onClick={() => void logout()} aria-label="Log out" title="Log out">
      <Icon name="out" />
    </button>
  );
}

function Connection(): JSX.Element {
  const connection = useLive((value) => value.connection);
  const text = { connecting: 'Connecting', live: 'Live', lost: 'Connection lost' }[connection];
  return (
    <span class={`connection is-${connection}`} title={`${text}: the page follows by itself`}>
      <i aria-hidden="true" />
      <span>{text}</span>
    </span>
  );
}

function LostNotice(): JSX.Element | null {
  const isLost = useLive((value) => value.connection === 'lost');
  const heardAt = useLive((value) => (value.connection === 'lost' ? value.heardAt : 0));
  const hasData = useLive((value) => value.status !== undefined);
  if (!isLost) return null;
  return (
    <p class="lost" role="alert">
      <Icon name="warning" />
      <span>
        {hasData ? (
          <>
            Connection lost, showing data of <b>{clockText(heardAt, true)}</b>.
          </>
        ) : (
          'The proxy does not answer.'
        )}{' '}
        Trying to reconnect.
      </span>
      <button type="button" class="button is-plain" onClick={connect}>
        Reconnect now
      </button>
    </p>
  );
}

function Bar({ path, judgement }: { path: string; judgement: Judgement | undefined }): JSX.Element {
  const site = useStore(access, ({ session }) => session?.site ?? '');
  const isLost = useLive((value) => value.connection === 'lost');
  const count = judgement?.problems.length ?? 0;
  return (
    <header class="bar">
      <a class="brand" href="#/" aria-label={`${site}: overview`}>
        <img src="/favicon.svg" alt="" width="22" height="22" />
        <span>{site}</span>
        {judgement && <i class={`dot is-${isLost ? 'neutral' : judgement.tone}`} aria-hidden="true" />}
      </a>
      <nav aria-label="Pages">
        {PAGES.map((page) => (
          <a key={page.path} href={`#${page.path}`} {...(isCurrent(page.path, path) ? { 'aria-current': 'page' } : {})}>
            {page.label}
            {page.path === '/attention' && count > 0 && (
              <span class={`count is-${judgement!.tone}`}>
                {count}
                <span class="sr-only"> problems</span>
              </span>
            )}
          </a>
        ))}
      </nav>
      <div class="bar-end">
        <Connection />
        <ThemeButton />
        <LogoutButton />
      </div>
    </header>
  );
}

function Footer(): JSX.Element {
  const version = useStore(access, ({ session }) => session?.version ?? '');
  return (
    <footer class="foot">
      <span>geo-registry-proxy {version}</span>
      <a href="/metrics">Metrics</a>
      <a href="/api/status">Status as JSON</a>
    </footer>
  );
}

/** Keys for all pages: `/` goes to the search. */
function useKeys(): void {
  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      const isTyping = event.target instanceof Element && event.target.matches('input, select, textarea');
      if (event.key !== '/' || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      const field = document.querySelector<HTMLInputElement>('[data-search]');
      if (field) field.focus();
      else location.hash = '#/repositories?focus=search';
    };
    addEventListener('keydown', press);
    return () => removeEventListener('keydown', press);
  }, []);
}

/** A page that fails to be drawn takes no other with it. */
function Guarded({ children }: { children: ComponentChildren }): JSX.Element {
  const [error, again] = useErrorBoundary();
  if (error === undefined) return <>{children}</>;
  return (
    <section class="card">
      <Empty icon="warning" title="This page could not be shown">
        <p>{String(error)}</p>
        <button type="button" class="button is-plain" onClick={again}>
          Try again
        </button>
      </Empty>
    </section>
  );
}

/** The page within its frame. */
export function Shell({ path, children }: { path: string; children: ComponentChildren }): JSX.Element {
  const status = useLive((value) => value.status);
  const isLost = useLive((value) => value.connection === 'lost');
  const judgement = status && judge(status);
  const site = status?.site ?? '';
  useEffect(
    () => showInTab(site, judgement, isLost),
    [site, judgement?.word, judgement?.tone, judgement?.problems.length, isLost],
  );
  useKeys();
  return (
    <>
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          document.querySelector('main')!.focus();
        }}
      >
        Skip to the content
      </a>
      <Bar path={path} judgement={judgement} />
      <p class="sr-only" aria-live="polite" data-testid="announcement">
        {judgement && `${judgement.word}: ${judgement.sentence}`}
      </p>
      <main id="main" tabIndex={-1}>
        <LostNotice />
        <Guarded key={path}>{children}</Guarded>
      </main>
      <Footer />
      <Toasts />
    </>
  );
}
