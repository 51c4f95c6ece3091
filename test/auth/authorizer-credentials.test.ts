import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createCredentialReader, credentialFiles } from '../../src/registry/authorizer-credentials.ts';
import { scratch } from './pem.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const basic = (username: string, password = 'secret') => ({ kind: 'basic', username, password });
const entry = (username: string) => ({ auth: base64(`${username}:secret`) });

/** A reader of one file, in a directory that also holds the helpers that the test writes. */
function readerOf(directory: ReturnType<typeof scratch>, config: unknown, helperTimeout = 10_000) {
  const file = directory.path('config.json');
  const write = (content: unknown): void => writeFileSync(file, JSON.stringify(content));
  write(config);
  let now = 0;
  const env = { PATH: [directory.path('bin'), process.env['PATH']].join(delimiter) };
  const read = createCredentialReader({ files: [file], env }, { clock: () => now, helperTimeout });
  return { read, write, file, pass: (time: number) => (now += time) };
}

/** A credential helper as a shell script; it writes down each server that it was asked for. */
function writeHelper(directory: ReturnType<typeof scratch>, name: string, script: string) {
  mkdirSync(directory.path('bin'), { recursive: true });
  const calls = directory.path(`${name}.calls`);
  writeFileSync(calls, '');
  const text = `#!/bin/sh\n[ "$1" = get ] || exit 9\nserver=$(cat)\necho "$server" >>${calls}\n${script}\n`;
  writeFileSync(directory.path(`bin/docker-credential-${name}`), text, { mode: 0o755 });
  return () => readFileSync(calls, 'utf8').split('\n').filter(Boolean);
}

const answers = (username: string, secret = 'secret'): string =>
  `echo '${JSON.stringify({ ServerURL: 'x', Username: username, Secret: secret })}'`;
const notFound = 'echo "credentials not found in native keychain"; exit 1';

describe('credentialFiles', () => {
  it.each([
    [{ DOCKER_CONFIG: '/d', REGISTRY_AUTH_FILE: '/r', HOME: '/h' }, ['/d/config.json']],
    [{ REGISTRY_AUTH_FILE: '/r.json', HOME: '/h' }, ['/r.json']],
    [{ HOME: '/h', XDG_RUNTIME_DIR: '/run/1' }, ['/h/.docker/config.json', '/run/1/containers/auth.json']],
    [{}, []],
  ])('of %j are %j', (env, files) => {
    expect(credentialFiles(env)).toEqual(files);
  });
});

describe('credentials of auths', () => {
  it.each([
    ['user and password', entry('alice'), basic('alice')],
    ['a password with colons', { auth: base64('alice:a:b:c') }, basic('alice', 'a:b:c')],
    ['a password padded with NUL', { auth: base64('alice:secret\0\0') }, basic('alice')],
    ['an identity token', { auth: base64('0000:'), identitytoken: 'refresh' }, { kind: 'identity', token: 'refresh' }],
    ['a registry token', { registrytoken: 'jwt' }, { kind: 'registry', token: 'jwt' }],
    ['an empty entry', {}, undefined],
  ])('may be %s', async (_what, value, expected) => {
    using directory = scratch();
    const { read } = readerOf(directory, { auths: { 'reg.example:5000': value } });
    expect(await read('reg.example:5000')).toEqual(expected);
  });

  it.each([
    ['reg.example:5000', 'reg.example:5000'],
    ['https://reg.example:5000', 'reg.example:5000'],
    ['http://reg.example:5000/v1/', 'reg.example:5000'],
    ['https://reg.example:5000/some/path', 'reg.example:5000'],
    ['reg.example:5000/v2/', 'reg.example:5000'],
    ['reg.example:443', 'reg.example'],
    ['Reg.Example', 'reg.example'],
    ['https://index.docker.io/v1/', 'registry-1.docker.io'],
  ])('under the key %s are for %s', async (key, host) => {
    using directory = scratch();
    expect(await readerOf(directory, { auths: { [key]: entry('alice') } }).read(host, 'a/b')).toEqual(basic('alice'));
  });

  it.each([
    ['reg.example', 'reg.example:5000'],
    ['reg.example:5000', 'reg.example'],
    ['reg.example', 'sub.reg.example'],
    ['reg.example', 'reg.example.org'],
    ['__proto__', 'reg.example'],
  ])('under the key %s are not for %s', async (key, host) => {
    using directory = scratch();
    expect(await readerOf(directory, { auths: { [key]: entry('alice') } }).read(host)).toBeUndefined();
  });

  it.each([
    ['group/project/sub', 'deep'],
    ['group/other', 'shallow'],
    ['group2/project', 'host'],
    ['group', 'shallow'],
    [undefined, 'host'],
  ])("of the nearest namespace are Podman's for %s", async (repository, username) => {
    using directory = scratch();
    const auths = { 'reg/group/project': entry('deep'), 'reg/group': entry('shallow'), reg: entry('host') };
    expect(await readerOf(directory, { auths }).read('reg', repository)).toEqual(basic(username));
  });

  it('that cannot be read are an error that does not show them', async () => {
    using directory = scratch();
    const { read, file } = readerOf(directory, { auths: { reg: { auth: base64('hush') } } });
    await expect(read('reg')).rejects.toThrow(`${file}: reg: auth is no base64 of user:password`);
  });
});

describe('the files', () => {
  it('are looked into in order', async () => {
    using directory = scratch();
    const files = ['1', '2', 'none'].map((name) => directory.path(name));
    writeFileSync(files[0]!, JSON.stringify({ auths: { both: entry('first') } }));
    writeFileSync(files[1]!, JSON.stringify({ auths: { both: entry('second'), one: entry('second') } }));
    const read = createCredentialReader({ files, env: {} });
    expect(await read('both')).toEqual(basic('first'));
    expect(await read('one')).toEqual(basic('second'));
    expect(await read('neither')).toBeUndefined();
  });

  it('are read again when they may have changed', async () => {
    using directory = scratch();
    const { read, write, pass } = readerOf(directory, { auths: { reg: entry('before') } });
    await read('reg');
    write({ auths: { reg: entry('after') } });
    pass(2_000);
    expect(await read('reg')).toEqual(basic('after'));
  });

  it('that are no JSON are an error that does not show them', async () => {
    using directory = scratch();
    const { read, file } = readerOf(directory, {});
    writeFileSync(file, '{"auths": {"reg": {"auth": "c2VjcmV0"');
    const error: unknown = await read('reg').catch((thrown: unknown) => thrown);
    expect(String(error)).toBe(`Error: ${file} is no JSON`);
    expect((error as Error).cause).toBeUndefined();
  });
});

describe('credential helpers', () => {
  it('are asked for the host alone, before auths', async () => {
    using directory = scratch();
    const calls = writeHelper(directory, 'mine', answers('helped'));
    const { read } = readerOf(directory, { credHelpers: { 'reg:1': 'mine' }, auths: { 'reg:1': entry('alice') } });
    expect(await read('reg:1', 'a/b')).toEqual(basic('helped'));
    expect(calls()).toEqual(['reg:1']);
  });

  it("of a host come before everyone's", async () => {
    using directory = scratch();
    writeHelper(directory, 'own', answers('own'));
    writeHelper(directory, 'all', answers('all'));
    const { read } = readerOf(directory, { credHelpers: { reg: 'own' }, credsStore: 'all' });
    expect(await read('reg')).toEqual(basic('own'));
    expect(await read('other')).toEqual(basic('all'));
  });

  it('that find nothing leave it to the next', async () => {
    using directory = scratch();
    writeHelper(directory, 'own', notFound);
    writeHelper(directory, 'all', notFound);
    const { read } = readerOf(directory, {
      credHelpers: { reg: 'own' },
      credsStore: 'all',
      auths: { reg: entry('a') },
    });
    expect(await read('reg')).toEqual(basic('a'));
  });

  it('that are empty keep their host from the store', async () => {
    using directory = scratch();
    writeHelper(directory, 'all', answers('all'));
    const { read } = readerOf(directory, { credHelpers: { reg: '' }, credsStore: 'all', auths: { reg: entry('a') } });
    expect(await read('reg')).toEqual(basic('a'));
  });

  it('may give an identity token', async () => {
    using directory = scratch();
    writeHelper(directory, 'all', answers('<token>', 'refresh'));
    expect(await readerOf(directory, { credsStore: 'all' }).read('reg')).toEqual({
      kind: 'identity',
      token: 'refresh',
    });
  });

  it('are asked for Docker Hub by its old address', async () => {
    using directory = scratch();
    const calls = writeHelper(directory, 'all', answers('hub'));
    await readerOf(directory, { credsStore: 'all' }).read('registry-1.docker.io');
    expect(calls()).toEqual(['https://index.docker.io/v1/']);
  });

  it('are run once for many that ask, and again when a fresh answer is wanted', async () => {
    using directory = scratch();
    const calls = writeHelper(directory, 'all', answers('a'));
    const { read, pass } = readerOf(directory, { credsStore: 'all' });
    await Promise.all(Array.from({ length: 5 }, () => read('reg')));
    pass(60_000);
    await read('reg');
    expect(calls()).toHaveLength(1);
    await read('reg', undefined, { fresh: true });
    expect(calls()).toHaveLength(2);
  });

  it.each([
    ['fails', 'echo hush-hush; echo hush-hush >&2; exit 3', 'docker-credential-all failed (3)'],
    ['talks nonsense', 'echo hush-hush', 'docker-credential-all gave no user name and secret'],
    [
      'talks without end',
      'echo hush-hush; exec cat /dev/zero',
      'docker-credential-all failed (ERR_CHILD_PROCESS_STDIO_MAXBUFFER)',
    ],
  ])('that %s are an error without their words', async (_what, script, message) => {
    using directory = scratch();
    writeHelper(directory, 'all', script);
    const error: unknown = await readerOf(directory, { credsStore: 'all' })
      .read('reg')
      .catch((thrown: unknown) => thrown);
    expect(String(error)).toBe(`Error: ${message}`);
    expect(String((error as Error).cause)).not.toContain('hush');
  });

  it('that hang are killed', async () => {
    using directory = scratch();
    writeHelper(directory, 'all', 'exec sleep 60');
    const { read } = readerOf(directory, { credsStore: 'all' }, 100);
    await expect(read('reg')).rejects.toThrow('docker-credential-all gave no answer in 100 ms');
  });

  it.each([
    ['nowhere', 'docker-credential-nowhere is not on PATH'],
    ['../evil', 'a credential helper with a name that is none'],
  ])('called %s are an error', async (name, message) => {
    using directory = scratch();
    await expect(readerOf(directory, { credsStore: name }).read('reg')).rejects.toThrow(message);
  });
});
