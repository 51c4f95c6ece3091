// Who may read, over time: tokens end, keys change while the proxy runs, and nothing of either is ever written down.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { blob } from '../support/content.ts';
import { image } from '../support/image.ts';
import { createSiteKeys, type SiteKeys } from '../support/keys.ts';
import { startProxySite, type Answer, type ProxySite } from '../support/proxy.ts';
import { pushBlob } from '../support/push.ts';
import { repositoryAccess, type TokenOverrides } from '../support/token.ts';
import { waitFor } from '../support/tool.ts';
import { pushToBoth } from './local-copy.ts';
import { expectRefusal } from './refusal.ts';

let site: ProxySite;
let stranger: SiteKeys;
const name = 'grp/proj';
const warm = image('keys warm');
const stored = blob(3_000, 'keys stored');

beforeAll(async () => {
  [site, stranger] = await Promise.all([startProxySite(), createSiteKeys()]);
  await pushToBoth(site, name, 'warm', warm);
  await pushBlob(site.secondaryTarget(name), stored);
});
afterEach(() => {
  site.relay.reset();
  site.localRelay.reset();
});
afterAll(async () => {
  await Promise.all([site.close(), stranger.remove()]);
});

function signed(overrides: TokenOverrides = {}): string {
  return site.tokenFor([repositoryAccess(name, 'pull')], overrides);
}

function ofStranger(): string {
  return signed({ key: stranger.privateKey });
}

function ask(token: string): Promise<Answer> {
  return site.ask(`${name}/manifests/${warm.digest}`, { token });
}

async function statusOf(...tokens: string[]): Promise<number[]> {
  const answers = await Promise.all(tokens.map(ask));
  return answers.map(({ status }) => status);
}

test('a token that expires after it was found good is refused from then on', async () => {
  // Three seconds of the minute that clocks may differ by are left.
  const token = signed({ expiresIn: -57 });
  expect(await statusOf(token)).toEqual([200]);
  await waitFor(async () => (await ask(token)).status === 401, { what: 'the end of the token' });
  expectRefusal(site, await ask(token), `repository:${name}:pull`, 'invalid_token');
});

describe('with keys that change', () => {
  let bundle: string;

  beforeAll(async () => {
    bundle = join(site.dataDir, 'bundle.pem');
    await writeFile(bundle, site.keys.certPem);
    await site.restart({ GEO_CERT_FILE: bundle });
  });
  afterEach(async () => {
    await writeFile(bundle, site.keys.certPem);
    site.proxy.reload();
  });
  afterAll(() => site.restart());

  test('another certificate is taken up at once when told so', async () => {
    expect(await statusOf(signed(), ofStranger())).toEqual([200, 401]);
    await writeFile(bundle, site.keys.certPem + stranger.certPem);
    site.proxy.reload();
    expect(await statusOf(signed(), ofStranger())).toEqual([200, 200]);
  });

  test('a token that was found good ends with its key', async () => {
    const token = signed();
    expect(await statusOf(token)).toEqual([200]);
    await writeFile(bundle, stranger.certPem);
    site.proxy.reload();
    expect(await statusOf(token, ofStranger())).toEqual([401, 200]);
  });

  test('a file that changed is noticed without a word', async () => {
    const token = ofStranger();
    expect(await statusOf(token)).toEqual([401]);
    await writeFile(bundle, stranger.certPem);
    await waitFor(async () => (await ask(token)).status === 200, { what: 'the other key' });
  });

  test('a file that holds no certificate leaves the keys as they are', async () => {
    await writeFile(bundle, 'nothing');
    site.proxy.reload();
    expect(await statusOf(signed(), ofStranger())).toEqual([200, 401]);
    const lines = site.log.filter(({ msg }) => msg === 'keeping the old keys');
    expect(lines.at(-1)).toMatchObject({ level: 50, reason: expect.stringContaining(bundle) });
  });
});

test('another private key signs what is asked of the registries, without a restart', async () => {
  const own = await readFile(site.keys.keyFile, 'utf8');
  onTestFinished(async () => {
    await writeFile(site.keys.keyFile, own);
    site.proxy.reload();
  });
  const missing = `${name}/blobs/${blob(10, 'never pushed').digest}`;
  expect((await site.ask(missing)).code).toBe('BLOB_UNKNOWN');
  // In memory from here on, where no registry is asked for it.
  expect(await statusOf(signed())).toEqual([200]);
  await writeFile(site.keys.keyFile, await readFile(stranger.keyFile, 'utf8'));
  site.proxy.reload();
  // The registries do not know that key: neither of them answers us any more, and clients’ old tokens are none.
  expect(await statusOf(signed(), ofStranger())).toEqual([401, 200]);
  expect((await site.ask(missing, { token: ofStranger() })).status).toBe(503);
});

describe('with GEO_CLIENT_AUTH=none', () => {
  beforeAll(() => site.restart({ GEO_CLIENT_AUTH: 'none' }));
  afterAll(() => site.restart());

  test.each([
    ['no token', ''],
    ['a token that is none', 'garbage'],
  ])('everyone reads, with %s', async (_what, token) => {
    for (const path of ['', `${name}/manifests/warm`, `${name}/tags/list`, '_catalog']) {
      expect((await site.ask(path, { token, method: 'HEAD' })).status).toBe(200);
    }
    expect((await site.ask(`${name}/blobs/${stored.digest}`, { token })).body.equals(stored.bytes)).toBe(true);
  });

  test('the log says so loudly', () => {
    expect(site.log.filter(({ level, msg }) => level === 40 && /GEO_CLIENT_AUTH/.test(String(msg)))).toHaveLength(1);
  });
});

/** The parts of a header or a token that nobody else may learn. */
function partsOf(text: string): string[] {
  return [
    text,
    ...text
      .replace(/^Bearer /, '')
      .split('.')
      .slice(1),
  ].filter((part) => part.length > 20);
}

test('no token and nothing of the key is in the log, whatever happens', async () => {
  onTestFinished(() => Promise.all([site.relay.up(), site.localRelay.up()]).then(() => undefined));
  const secrets: string[] = [];
  const statusFor = async (path: string, token: string): Promise<number> => {
    secrets.push(...partsOf(token));
    return (await site.ask(path, { token })).status;
  };
  const unknown = `${name}/blobs/${blob(10, 'unknown').digest}`;
  for (const token of [ofStranger(), signed({ expiresIn: -120 }), `${signed()}${'A'.repeat(20_000)}`]) {
    expect(await statusFor(unknown, token)).toBe(401);
  }
  expect(await statusFor(unknown, signed())).toBe(404);
  site.relay.rules.push({ match: ({ path }) => path.endsWith('gone'), answer: { status: 401 } });
  expect(await statusFor(`${name}/manifests/gone`, signed())).toBe(403);
  const sent = [...site.relay.requests, ...site.localRelay.requests].map(({ headers }) => headers.authorization ?? '');
  expect(sent.length).toBeGreaterThan(3);
  await Promise.all([site.relay.down(), site.localRelay.down()]);
  expect(await statusFor(unknown, signed())).toBe(503);
  const pem = await readFile(site.keys.keyFile, 'utf8');
  const keyLines = pem.split('\n').filter((line) => !line.startsWith('-----'));
  secrets.push(...sent.flatMap(partsOf), ...keyLines.flatMap(partsOf));
  const written = JSON.stringify(site.log);
  expect(written).toContain(`"repository":"${name}"`);
  expect(secrets.filter((secret) => written.includes(secret))).toEqual([]);
});
