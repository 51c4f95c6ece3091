// The way to a repository or image through its groups.
import type { JSX } from 'preact';
import { linkTo } from '../lib/router.ts';

/** Links to each group above `repository`; the repository itself, too, where `isLinked`. */
export function Crumbs({ repository, isLinked = false }: { repository: string; isLinked?: boolean }): JSX.Element {
  const groups = repository.split('/').slice(0, -1);
  return (
    <>
      <a href="#/repositories">Repositories</a>
      {groups.map((name, index) => (
        <span key={index}>
          {' / '}
          <a href={linkTo('/repositories', { group: groups.slice(0, index + 1).join('/') })}>{name}</a>
        </span>
      ))}
      {isLinked && (
        <>
          {' / '}
          <a href={linkTo('/repository', { name: repository })}>{repository.split('/').at(-1)}</a>
        </>
      )}
    </>
  );
}
