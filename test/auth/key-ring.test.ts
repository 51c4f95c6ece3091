import { createPublicKey } from 'node:crypto';
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { libtrustId } from '../../src/auth/key-id.ts';
import { KeyRing, KeyFileError, type KeyFiles } from '../../src/auth/key-ring.ts';
import { certificateOf, privateKeyOf, privatePem, scratch } from './pem.ts';

/** A ring whose clock the test moves: `pass` lets the next use look at the files. */
function ringOf(files: KeyFiles, options: { needsCertificate?: boolean } = {}) {
  const errors: string[] = [];
  let now = 0;
  const ring = new KeyRing(
    { ...files, onError: (message) => errors.push(message) },
    { ...options, clock: () => now, checkInterval: 1_000 },
  );
  return { ring, errors, pass: () => (now += 1_000) };
}

function signingId(ring: KeyRing): string {
  return libtrustId(ring.current().signing!.key);
}

function replace(path: string, text: string): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

const first = privatePem('P-256');
const second = privatePem('P-256');

describe('a key ring', () => {
  it('trusts the public half of its key when it has no certificate file', () => {
    using directory = scratch();
    const keyFile = directory.path('key');
    writeFileSync(keyFile, first);
    const { trusted } = ringOf({ keyFile }).ring.current();
    expect(trusted.map((key) => [key.type, libtrustId(key)])).toEqual([['public', libtrustId(privateKeyOf(first))]]);
  });

  it('trusts the certificate file alone when there is one', () => {
    using directory = scratch();
    const [keyFile, certFile] = [directory.path('key'), directory.path('cert')];
    writeFileSync(keyFile, first);
    writeFileSync(certFile, createPublicKey(second).export({ type: 'spki', format: 'pem' }));
    const { trusted } = ringOf({ keyFile, certFile }).ring.current();
    expect(trusted.map(libtrustId)).toEqual([libtrustId(privateKeyOf(second))]);
  });

  it('sees a file that was replaced by rename, and counts its version up', () => {
    using directory = scratch();
    const keyFile = directory.path('key');
    writeFileSync(keyFile, first);
    const { ring, pass } = ringOf({ keyFile });
    const before = ring.current().version;
    replace(keyFile, second);
    pass();
    expect(signingId(ring)).toBe(libtrustId(privateKeyOf(second)));
    expect(ring.current().version).toBeGreaterThan(before);
  });

  it('sees a file that was written in place', () => {
    using directory = scratch();
    const keyFile = directory.path('key');
    writeFileSync(keyFile, first);
    const { ring, pass } = ringOf({ keyFile });
    writeFileSync(keyFile, second);
    pass();
    expect(signingId(ring)).toBe(libtrustId(privateKeyOf(second)));
  });

  it("sees Kubernetes' swap of the directory's link", () => {
    using directory = scratch();
    for (const [name, pem] of [
      ['1', first],
      ['2', second],
    ] as const) {
      mkdirSync(directory.path(name));
      writeFileSync(directory.path(`${name}/key`), pem);
    }
    symlinkSync('1', directory.path('..data'));
    symlinkSync('..data/key', directory.path('key'));
    const { ring, pass } = ringOf({ keyFile: directory.path('key') });
    expect(signingId(ring)).toBe(libtrustId(privateKeyOf(first)));
    symlinkSync('2', directory.path('..data_tmp'));
    renameSync(directory.path('..data_tmp'), directory.path('..data'));
    pass();
    expect(signingId(ring)).toBe(libtrustId(privateKeyOf(second)));
  });

  it('looks at the files no more often than it was told to', () => {
    using directory = scratch();
    const keyFile = directory.path('key');
    writeFileSync(keyFile, first);
    const { ring } = ringOf({ keyFile });
    replace(keyFile, second);
    expect(signingId(ring)).toBe(libtrustId(privateKeyOf(first)));
  });

  it('looks at them at once when told to reload', () => {
    using directory = scratch();
    const keyFile = directory.path('key');
    writeFileSync(keyFile, first);
    const { ring } = ringOf({ keyFile });
    replace(keyFile, second);
    expect(ring.reload()).toBe(true);
    expect(signingId(ring)).toBe(libtrustId(privateKeyOf(second)));
  });

  it('keeps its version when the file was only touched', () => {
    using directory = scratch();
    const keyFile = directory.path('key');
    writeFileSync(keyFile, first);
    const { ring, pass } = ringOf({ keyFile });
    const before = ring.current().version;
    replace(keyFile, first);
    pass();
    expect(ring.current().version).toBe(before);
    expect(ring.reload()).toBe(false);
  });

  it.each([
    ['removed', (path: string) => rmSync(path), 'ENOENT'],
    ['emptied', (path: string) => writeFileSync(path, ''), 'no private key'],
    [
      'replaced by a public key',
      (path: string) => replace(path, '-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----'),
      'holds public key',
    ],
  ])('keeps the keys of a file that was %s, and says so once', (_what, spoil, message) => {
    using directory = scratch();
    const keyFile = directory.path('key');
    writeFileSync(keyFile, first);
    const { ring, errors, pass } = ringOf({ keyFile });
    spoil(keyFile);
    for (let look = 0; look < 3; look += 1) {
      pass();
      expect(signingId(ring)).toBe(libtrustId(privateKeyOf(first)));
    }
    expect(errors).toHaveLength(1);
    expect(errors[0]).toContain(`${keyFile}: `);
    expect(errors[0]).toContain(message);
  });

  it('takes up a file that came back', () => {
    using directory = scratch();
    const keyFile = directory.path('key');
    writeFileSync(keyFile, first);
    const { ring, pass } = ringOf({ keyFile });
    rmSync(keyFile);
    pass();
    ring.current();
    writeFileSync(keyFile, second);
    pass();
    expect(signingId(ring)).toBe(libtrustId(privateKeyOf(second)));
  });

  it('waits for the certificate of a new key where tokens carry it', () => {
    using directory = scratch();
    const [keyFile, certFile] = [directory.path('key'), directory.path('cert')];
    writeFileSync(keyFile, first);
    writeFileSync(certFile, certificateOf(keyFile));
    const { ring, errors, pass } = ringOf({ keyFile, certFile }, { needsCertificate: true });
    replace(keyFile, second);
    pass();
    expect(signingId(ring)).toBe(libtrustId(privateKeyOf(first)));
    expect(errors[0]).toContain(`${certFile}: no certificate of the private key`);
    replace(certFile, certificateOf(keyFile));
    pass();
    expect(signingId(ring)).toBe(libtrustId(privateKeyOf(second)));
    expect(ring.current().signing!.chain).toHaveLength(1);
  });

  it.each([
    ['keyFile', 'ENOENT', () => undefined],
    ['certFile', 'no certificate and no public key', (path: string) => writeFileSync(path, 'hello')],
  ] as const)('does not start with a bad %s, and names it', (file, message, write) => {
    using directory = scratch();
    write(directory.path('file'));
    const start = (): unknown => ringOf({ [file]: directory.path('file') });
    expect(start).toThrow(KeyFileError);
    expect(start).toThrow(expect.objectContaining({ file, message: expect.stringContaining(message) }));
  });
});
