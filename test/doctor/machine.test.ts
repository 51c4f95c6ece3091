import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkDataDirectory, checkOpenFiles, realMachine, type Machine } from '../../src/doctor/machine.ts';
import { temporaryDirectory } from '../config/environment.ts';
import { told } from './examine.ts';

const GIB = 2 ** 30;
const EXT4 = 0xef53;
const TMPFS = 0x01021994;

function withFiles(files: Readonly<Record<string, string>>): Machine {
  return {
    ...realMachine,
    async readText(path) {
      const text = files[path];
      if (text === undefined) throw new Error('ENOENT');
      return text;
    },
  };
}

const limits = (soft: string): string =>
  `Limit  Soft Limit  Hard Limit  Units\nMax open files            ${soft}      1048576    files\n`;

const usual = { fetchConnections: 16, replicationConcurrency: 4 };

test('fewer open files than the configuration needs are a failure', async () => {
  const machine = withFiles({ '/proc/self/limits': limits('1024') });
  const wide = { ...usual, fetchConnections: 256 };
  expect(told(await checkOpenFiles(machine, undefined, wide))).toMatch(
    /^failed: this process .* may have 1024 open files, and this configuration needs 1168 -> LimitNOFILE=65536/,
  );
});

test('few open files are told of', async () => {
  const machine = withFiles({ '/proc/self/limits': limits('1024') });
  expect(told(await checkOpenFiles(machine, undefined, usual))).toMatch(
    /^warning: this process .* may have 1024 open files -> allow 4096 or more: LimitNOFILE=65536/,
  );
});

test('the limit is that of the server where one runs', async () => {
  const files = { '/proc/self/limits': limits('65536'), '/proc/7/limits': limits('1024') };
  const ours = withFiles({ ...files, '/proc/7/cmdline': 'node\0--\0/opt/geo-registry-proxy/bin/x.cjs\0serve' });
  expect(told(await checkOpenFiles(ours, 7, usual))).toMatch(
    /^warning: the server \(process 7\) may have 1024 open files/,
  );
  const another = withFiles({ ...files, '/proc/7/cmdline': 'nginx' });
  expect(told(await checkOpenFiles(another, 7, usual))).toMatch(/^ok: this process .* 65536 open files/);
});

test('a system that tells no limits', async () => {
  expect(told(await checkOpenFiles(withFiles({}), undefined, usual))).toMatch(/^skipped: /);
});

function withDisk(type: number, bytes: number): Machine {
  return { ...realMachine, statfs: async () => ({ type, bsize: 4_096, bavail: bytes / 4_096 }) };
}

test('a data directory in memory', async () => {
  const given = { dataDir: temporaryDirectory(), spoolMax: GIB };
  expect(told(await checkDataDirectory(withDisk(TMPFS, 5 * GIB), given))).toMatch(
    /^warning: .* is on tmpfs: .* -> set GEO_DATA_DIR to a directory on a disk/,
  );
});

test('a disk that is smaller than the spool may be', async () => {
  const given = { dataDir: join(temporaryDirectory(), 'not', 'made yet'), spoolMax: 20 * GIB };
  expect(told(await checkDataDirectory(withDisk(EXT4, 5 * GIB), given))).toMatch(
    /^warning: .*: 5\.0 GiB for the spool, GEO_SPOOL_MAX is 20\.0 GiB -> make room, or set GEO_SPOOL_MAX to less/,
  );
  expect(told(await checkDataDirectory(withDisk(EXT4, 0), given))).toMatch(/^failed: .*: the disk is full/);
  expect(told(await checkDataDirectory(withDisk(EXT4, 30 * GIB), given))).toMatch(/^ok: /);
});
