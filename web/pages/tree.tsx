// The tree of groups: each level is asked for when it is opened.
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { Group, Groups } from '../contract.ts';
import { counted, countText } from '../lib/format.ts';
import { linkTo } from '../lib/router.ts';
import { useLoad, useReplicationKey } from '../lib/use-load.ts';
import { Icon } from '../parts/icon.tsx';
import { Pending } from '../parts/page.tsx';
import { totalOf } from '../parts/state.tsx';

const LIMIT = 100;

interface NodeProps {
  readonly group: Group;
  readonly parent: string;
  readonly chosen: string;
}

function Node({ group, parent, chosen }: NodeProps): JSX.Element {
  const { path, isRepository, hasChildren, tags } = group;
  const [isOpen, setOpen] = useState(chosen.startsWith(`${path}/`));
  const name = parent === '' ? path : path.slice(parent.length + 1);
  const href = hasChildren ? linkTo('/repositories', { group: path }) : linkTo('/repository', { name: path });
  return (
    <li>
      <div class="tree-node">
        {hasChildren ? (
          <button
            type="button"
            class="tree-toggle"
            aria-expanded={isOpen}
            aria-label={`${path}: what is in it`}
            onClick={() => setOpen(!isOpen)}
          >
            <Icon name="right" size={12} />
          </button>
        ) : (
          <span class="tree-toggle" />
        )}
        <a href={href} title={path} {...(path === chosen ? { 'aria-current': 'true' } : {})}>
          <Icon name={hasChildren && !isRepository ? 'folder' : 'repository'} size={14} />
          <span class="tree-name">{name}</span>
        </a>
        {tags.failed > 0 ? (
          <span class="tree-count tone-error" title={`${counted(tags.failed, 'image')} failed`}>
            <Icon name="error" size={12} />
            {countText(tags.failed)}
            <span class="sr-only"> failed</span>
          </span>
        ) : (
          <span class="tree-count" title={counted(totalOf(tags), 'image')}>
            {countText(totalOf(tags))}
          </span>
        )}
      </div>
      {isOpen && <Level parent={path} chosen={chosen} />}
    </li>
  );
}

function Level({ parent, chosen }: { parent: string; chosen: string }): JSX.Element {
  const [limit, setLimit] = useState(LIMIT);
  const { data, error, reload } = useLoad<Groups>('/api/groups', { parent, limit }, useReplicationKey());
  if (!data) return <Pending error={error} onRetry={reload} lines={2} />;
  return (
    <ul class="tree">
      {data.children.map((group) => (
        <Node key={group.path} group={group} parent={parent} chosen={chosen} />
      ))}
      {data.next !== null && limit < 1_000 && (
        <li>
          <button type="button" class="button is-quiet" onClick={() => setLimit(1_000)}>
            Show more
          </button>
        </li>
      )}
      {data.next !== null && limit >= 1_000 && <li class="note">There are more: search for them.</li>}
    </ul>
  );
}

/** The groups; `chosen` is the one that the list beside is of. */
export function GroupTree({ chosen }: { chosen: string }): JSX.Element {
  return (
    <nav class="card tree-card" aria-label="Groups">
      <a class="tree-all" href="#/repositories" {...(chosen === '' ? { 'aria-current': 'true' } : {})}>
        All repositories
      </a>
      <Level parent="" chosen={chosen} />
    </nav>
  );
}
