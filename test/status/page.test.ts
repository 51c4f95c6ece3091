import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { startProxySite, type ProxySite } from '../support/proxy.ts';
import { askAdmin, failed, restartWith, whileStopped, type AdminAnswer } from './admin.ts';

// What a primary could call things, and say of them.
const HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>';
const TURNED = 'safe\u202egpj.exe';

let site: ProxySite;
let quiet: AdminAnswer;
let page: AdminAnswer;
beforeAll(async () => {
  site = await startProxySite();
  quiet = await askAdmin(site, '/');
  await restartWith(site, [
    { repository: HOSTILE, reference: HOSTILE, outcome: failed(`no <b>bold</b> & '${HOSTILE}'`) },
    { repository: 'group/app', reference: TURNED, outcome: failed('blob is missing') },
    { repository: HOSTILE, reference: 'gone', outcome: { kind: 'held' } },
    {
      repository: 'group/app',
      reference: 'odd',
      outcome: { kind: 'unsupported', error: `MANIFEST_INVALID ${HOSTILE}` },
    },
    {
      repository: 'group/app',
      reference: 'index',
      outcome: { kind: 'waiting', error: `no child ${HOSTILE}`, waitsFor: '*', nextAttempt: Date.now() + 3_600_000 },
    },
  ]);
  await whileStopped(site, async (store) => {
    await store.keepMalformed({ at: Date.now(), reason: HOSTILE, body: HOSTILE });
    const digest = digestOf(Buffer.from('damaged'));
    await store.putBlob({ repository: HOSTILE, digest, verifiedAt: Date.now(), isDamaged: true });
  });
  page = await askAdmin(site, '/');
});
afterAll(() => site.close());

test('the page is one HTML document that nobody keeps', () => {
  expect(page.status).toBe(200);
  expect(page.headers['content-type']).toBe('text/html; charset=utf-8');
  expect(page.headers['cache-control']).toBe('no-store');
  expect(page.headers['x-content-type-options']).toBe('nosniff');
  expect(page.headers['referrer-policy']).toBe('no-referrer');
  expect(page.text).toMatch(/^<!doctype html>/);
});

test('its policy lets in its own style sheet and nothing else', () => {
  const [, style = ''] = /<style>([^]*?)<\/style>/.exec(page.text) ?? [];
  const hash = createHash('sha256').update(style).digest('base64');
  expect(style.length).toBeGreaterThan(1_000);
  expect(page.headers['content-security-policy']).toBe(
    `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  );
});

test('it has nothing from elsewhere, and nothing that runs or sends', () => {
  const tags = (page.text.match(/<[^>]*>/g) ?? []).join('\n');
  expect(tags).not.toMatch(/<(script|form|iframe|img|link|object|input)|\son\w+\s*=|\sstyle\s*=/i);
  expect(page.text).not.toMatch(/https?:|url\(|@import/i);
});

test('what the primary calls things is text', () => {
  const tags = new Set([...page.text.matchAll(/<\/?([a-z0-9!]+)/gi)].map(([, name]) => name!.toLowerCase()));
  for (const tag of ['script', 'img', 'b']) expect(tags).not.toContain(tag);
  const written = '&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x onerror=alert(2)&gt;';
  // The failed one's name and reason, the held one's, the damaged blob's, the event's, the registry's words.
  expect(page.text.split(written).length - 1).toBeGreaterThanOrEqual(8);
  expect(page.text).toContain('no &lt;b&gt;bold&lt;/b&gt; &amp; &#39;');
});

test('no name turns the direction of reading', () => {
  expect(page.text).not.toContain('\u202e');
  expect(page.text).toContain('<bdi>group/app:safe\ufffdgpj.exe</bdi>');
});

test('it says what failed, what is on hold and damaged, and what to do', () => {
  for (const text of [
    '2 failed tags and manifests',
    '1 removal on hold',
    '1 damaged blob',
    '1 event not understood',
    '1 unsupported tag',
    '1 tag or manifest waits',
  ]) {
    expect(page.text).toContain(text);
  }
  expect(page.text).toContain('<code>geo-registry-proxy retry</code>');
  expect(page.text).toContain('<code>geo-registry-proxy confirm-removals</code>');
});

test('it says which repositories have failures, each with a way to them', () => {
  expect(page.text).toContain('2 repositories have failures');
  expect(page.text).toContain('href="/api/replication?state=failed&amp;repository=group%2Fapp"');
  expect(page.text).toContain('href="/api/replication/repositories"');
});

test('where all is well it says no more than that', () => {
  expect(quiet.text).toContain('<span class="badge good">ok</span>');
  expect(quiet.text).not.toContain('<section class');
});
