import { describe, expect, it } from 'vitest';
import {
  catalogAccess,
  deleteAccess,
  grants,
  pullAccess,
  pushAccess,
  repositoryResource,
  scopeText,
} from '../../src/auth/scope.ts';

const project = repositoryResource('group/project');

describe('scopeText', () => {
  it.each([
    [[pullAccess('a/b')], 'repository:a/b:pull'],
    [[pushAccess('a/b')], 'repository:a/b:pull,push'],
    [[deleteAccess('a/b')], 'repository:a/b:delete'],
    [[catalogAccess()], 'registry:catalog:*'],
    [[pushAccess('a/b'), pullAccess('x/y')], 'repository:a/b:pull,push repository:x/y:pull'],
    [[], ''],
  ])('%j is %s', (access, text) => {
    expect(scopeText(access)).toBe(text);
  });
});

describe('grants', () => {
  it.each([
    ['the same repository and action', [pullAccess('group/project')], true],
    ['the action *', [{ type: 'repository', name: 'group/project', actions: ['*'] }], true],
    ['an entry with a class', [{ ...pullAccess('group/project'), class: 'image' }], true],
    ['the second of two entries', [pullAccess('x'), pullAccess('group/project')], true],
    ['nothing', [], false],
    ['push only', [{ type: 'repository', name: 'group/project', actions: ['push'] }], false],
    ['a prefix of the name', [pullAccess('group')], false],
    ['a longer name', [pullAccess('group/project/sub')], false],
    ['the name *', [pullAccess('*')], false],
    ['a glob', [pullAccess('group/*')], false],
    ['another case', [pullAccess('Group/project')], false],
    ['another type', [{ type: 'registry', name: 'group/project', actions: ['pull'] }], false],
    ['the type with a class in it', [{ type: 'repository(plugin)', name: 'group/project', actions: ['pull'] }], false],
    ['pull of one and push of the other', [pullAccess('other'), { ...project, actions: ['push'] }], false],
  ])('%s', (_what, access, expected) => {
    expect(grants(access, project, 'pull')).toBe(expected);
  });
});
