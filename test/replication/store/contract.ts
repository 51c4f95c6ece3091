// The contract of the rows, as tests that every store passes.
import { describe } from 'vitest';
import { claimContract } from './contract-claim.ts';
import { countsContract } from './contract-counts.ts';
import { finishContract } from './contract-finish.ts';
import { heldContract } from './contract-held.ts';
import { keepContract } from './contract-keep.ts';
import { listContract } from './contract-list.ts';
import { markContract } from './contract-mark.ts';
import { repositoriesContract } from './contract-repositories.ts';
import { retryContract } from './contract-retry.ts';
import type { CreateStore } from './given.ts';

/** Declares the tests of the contract for the stores that `create` makes. */
export function storeContract(create: CreateStore): void {
  describe('mark', () => markContract(create));
  describe('claim', () => claimContract(create));
  describe('finish', () => finishContract(create));
  describe('held removals', () => heldContract(create));
  describe('list', () => listContract(create));
  describe('counts', () => countsContract(create));
  describe('by repository', () => repositoriesContract(create));
  describe('retry', () => retryContract(create));
  describe('what is kept beside the rows', () => keepContract(create));
}
