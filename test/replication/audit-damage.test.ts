// R6: blobs that are gone, cut off or changed in the secondary's storage: healed or damaged, never synced over it.
import { open, rm, truncate } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { bodyOf } from '../fill/download.ts';
import { digestOf as parsed } from '../fill/rig.ts';
import { digestOf } from '../support/content.ts';
import { image, type Manifest } from '../support/image.ts';
import { pushImage } from '../support/push.ts';
import { startReplicating, startRigSites, type Replicating, type RigSites } from './rig.ts';

const DAY = 24 * 3_600_000;

let count = 0;

describe.each([{ descriptorCache: undefined }, { descriptorCache: 'inmemory' as const }])(
  'descriptor cache $descriptorCache',
  ({ descriptorCache }) => {
    let sites: RigSites;
    beforeAll(async () => {
      sites = await startRigSites({ secondary: { descriptorCache } });
    });
    afterEach(() => {
      sites.relay.reset();
      sites.localRelay.reset();
    });
    afterAll(() => sites.close());

    /** An image that is synced, in a repository of its own. */
    async function synced(): Promise<{ name: string; pushed: Manifest; site: Replicating }> {
      const name = `damage${(count += 1)}/app`;
      const pushed = image(name);
      await pushImage(sites.primaryTarget(name), 'v1', pushed);
      const site = await startReplicating(sites, { only: name });
      await site.until(name, 'v1', 'synced');
      sites.relay.reset();
      return { name, pushed, site };
    }

    async function bytesHere(name: string, digest: string): Promise<string> {
      const response = await fetch(`${sites.secondary.url}/v2/${name}/blobs/${digest}`);
      return digestOf(Buffer.from(await response.arrayBuffer()));
    }

    async function flipBit(digest: string): Promise<void> {
      await using file = await open(sites.secondary.blobFile(digest), 'r+');
      const byte = Buffer.alloc(1);
      await file.read(byte, 0, 1, 100);
      await file.write(Buffer.from([byte[0]! ^ 1]), 0, 1, 100);
    }

    test('all that is right is verified, and every byte of it was read', async () => {
      const { name, pushed, site } = await synced();
      await using _ = site;
      const bytes = pushed.blobs.reduce((sum, { size }) => sum + size, 0);
      expect(await site.replication.verification.run()).toMatchObject({
        kind: 'verify',
        rows: 1,
        repositories: 1,
        verified: 1,
        marked: 0,
        unknown: 0,
        damaged: 0,
        healed: 0,
        blobs: pushed.blobs.length,
        bytes,
      });
      expect((await site.row(name, 'v1'))?.verifiedAt).toBeDefined();
    });

    test('a file that is gone is brought again', async () => {
      const { name, pushed, site } = await synced();
      await using _ = site;
      const [lost] = pushed.blobs;
      await rm(sites.secondary.blobFile(lost!.digest));
      expect(await site.replication.verification.run()).toMatchObject({ verified: 0, marked: 1, damaged: 1 });
      await site.until(name, 'v1', 'synced');
      expect(await bytesHere(name, lost!.digest)).toBe(lost!.digest);
      expect(site.damaged.size).toBe(0);
      expect((await site.rows.counts(site.clock.now())).damagedBlobs).toBe(0);
      expect(await site.replication.verification.run()).toMatchObject({ verified: 1, damaged: 0 });
    });

    test.each([
      ['cut off', 1_000],
      ['of one byte', 1],
    ])('a file that is %s stays damaged, and nothing is fetched for it until it is removed', async (_what, size) => {
      const { name, pushed, site } = await synced();
      await using _ = site;
      const [, cut] = pushed.blobs;
      await truncate(sites.secondary.blobFile(cut!.digest), size);
      expect(await site.replication.verification.run()).toMatchObject({ verified: 0, marked: 1, damaged: 1 });
      const row = await site.until(name, 'v1', 'failed');
      expect(row?.lastError).toMatch(
        `blob ${cut!.digest}: damaged in the secondary's storage: remove docker/registry/v2/`,
      );
      expect(sites.relay.count(bodyOf(cut!))).toBe(0);
      expect([...site.damaged]).toEqual([cut!.digest]);
      expect(await site.rows.damagedBlobs(10)).toMatchObject([{ repository: name, digest: cut!.digest }]);
      expect(site.rig.log.map(({ facts }) => facts['file']).filter(Boolean)).toEqual([
        `<root>/docker/registry/v2/blobs/sha256/${cut!.digest.slice(7, 9)}/${cut!.digest.slice(7)}/data`,
      ]);

      expect(await site.replication.verification.run()).toMatchObject({ damaged: 1, healed: 0 });
      expect((await site.until(name, 'v1', 'failed'))?.verifiedAt).toBeUndefined();

      await rm(sites.secondary.blobFile(cut!.digest));
      await site.replication.verification.run();
      await site.until(name, 'v1', 'synced');
      expect(await bytesHere(name, cut!.digest)).toBe(cut!.digest);
      expect(site.damaged.size).toBe(0);
      expect(await site.replication.verification.run()).toMatchObject({ verified: 1, damaged: 0 });
    });

    test('a flipped bit is found when the blob is read again, after 30 days and not before', async () => {
      const { name, pushed, site } = await synced();
      await using _ = site;
      const [, wrong] = pushed.blobs;
      await site.replication.verification.run();
      await flipBit(wrong!.digest);
      site.clock.advance(29 * DAY);
      expect(await site.replication.verification.run()).toMatchObject({ verified: 1, bytes: 0, damaged: 0 });
      site.clock.advance(DAY);
      expect(await site.replication.verification.run()).toMatchObject({ verified: 0, marked: 1, damaged: 1 });
      expect((await site.until(name, 'v1', 'failed'))?.lastError).toMatch(wrong!.digest);
      expect([...site.damaged]).toEqual([wrong!.digest]);
      expect(sites.relay.count(bodyOf(wrong!))).toBe(0);
    });

    test('a damaged blob that somebody made whole is found so', async () => {
      const { name, pushed, site } = await synced();
      await using _ = site;
      const [, wrong] = pushed.blobs;
      await flipBit(wrong!.digest);
      await site.replication.verification.run();
      await site.until(name, 'v1', 'failed');
      await flipBit(wrong!.digest);
      expect(await site.replication.verification.run()).toMatchObject({ damaged: 0, healed: 1 });
      expect(site.damaged.size).toBe(0);
      await site.until(name, 'v1', 'synced');
    });

    test('another repository with a blob that is known to be damaged is not synced over it', async () => {
      const { name, pushed, site } = await synced();
      await using _ = site;
      const [, wrong] = pushed.blobs;
      await flipBit(wrong!.digest);
      await site.replication.verification.run();
      await site.until(name, 'v1', 'failed');
      const other = `${name}/other`;
      await pushImage(sites.primaryTarget(other), 'v1', pushed);
      await site.mark(other, 'v1');
      expect((await site.until(other, 'v1', 'failed'))?.lastError).toMatch(wrong!.digest);
    });

    test('a file that was cut off before the image came is no part of a synced image', async () => {
      const { name, pushed, site } = await synced();
      await using _ = site;
      const [, cut] = pushed.blobs;
      await truncate(sites.secondary.blobFile(cut!.digest), 1_000);
      const other = `${name}/other`;
      await pushImage(sites.primaryTarget(other), 'v1', pushed);
      await site.mark(other, 'v1');
      expect((await site.until(other, 'v1', 'failed'))?.lastError).toMatch(cut!.digest);
      expect(site.damaged.has(parsed(cut!))).toBe(true);
    });

    test('a manifest whose file was changed is no synced one until it is right again', async () => {
      const { name, pushed, site } = await synced();
      await using _ = site;
      await flipBit(pushed.digest);
      expect(await site.replication.verification.run()).toMatchObject({ verified: 0, marked: 1, damaged: 1 });
      expect((await site.until(name, 'v1', 'failed'))?.lastError).toMatch('damaged in the secondary');
      await site.replication.verification.run();
      await site.untilIdle();
      expect((await site.row(name, 'v1'))?.state).toBe('failed');
      await rm(sites.secondary.blobFile(pushed.digest));
      // One that remembers descriptors takes a manifest that it remembers for stored.
      await sites.secondary.stop();
      await sites.secondary.start();
      await site.replication.verification.run();
      await site.until(name, 'v1', 'synced');
      expect(await site.replication.verification.run()).toMatchObject({ verified: 1, damaged: 0 });
    });
  },
);
