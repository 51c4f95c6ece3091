// The status page: asks whether a login is needed, then shows the page that the address names, and follows the proxy.
import './style/index.css';
import { render, type JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import type { Snapshot } from './contract.ts';
import { access, get, openSession } from './lib/api.ts';
import { connect, disconnect, live } from './lib/live.ts';
import { useRoute, type Route } from './lib/router.ts';
import { useStore } from './lib/store.ts';
import { AttentionView } from './pages/attention/attention.tsx';
import { Doctor } from './pages/doctor.tsx';
import { ImageView } from './pages/image.tsx';
import { Login } from './pages/login.tsx';
import { Overview } from './pages/overview/overview.tsx';
import { Repositories } from './pages/repositories.tsx';
import { RepositoryView } from './pages/repository.tsx';
import { Empty, PageHead } from './parts/page.tsx';
import { Shell } from './shell.tsx';

const PAGES: Readonly<Record<string, (props: { route: Route }) => JSX.Element>> = {
  '/': Overview,
  '/repositories': Repositories,
  '/repository': RepositoryView,
  '/image': ImageView,
  '/attention': AttentionView,
  '/doctor': Doctor,
};

function NotFound(): JSX.Element {
  return (
    <>
      <PageHead title="No such page" />
      <section class="card">
        <Empty icon="search" title="This address leads nowhere">
          <a href="#/">To the overview</a>
        </Empty>
      </section>
    </>
  );
}

function App(): JSX.Element {
  const route = useRoute();
  const isClosed = useStore(access, (value) => value.isClosed);
  const session = useStore(access, (value) => value.session);
  const isOpen = session !== undefined && !isClosed;
  useEffect(() => {
    if (!isOpen) return undefined;
    connect();
    return disconnect;
  }, [isOpen]);
  if (isClosed) return <Login site={session?.site ?? 'geo-registry-proxy'} />;
  const Page = PAGES[route.path] ?? NotFound;
  return (
    <Shell path={route.path}>
      <Page key={route.path} route={route} />
    </Shell>
  );
}

/** The first status comes with the first event; asked for as well, it is there a little sooner. */
async function begin(): Promise<void> {
  await openSession();
  if (access.get().isClosed) return;
  const status = await get<Snapshot>('/api/status');
  if (!live.get().status) live.set({ status });
}

render(<App />, document.querySelector('#app')!);
begin().catch(connect);
