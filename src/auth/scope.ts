// Scopes: a token's access entries, and their text in challenges and token requests.

/** One entry of a token's `access` claim (Distribution spec/auth/jwt.md); other members are ignored. */
export interface Access {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

/** A repository, or the registry's catalog. */
type Resource = Pick<Access, 'type' | 'name'>;

/** A repository as a resource. */
export function repositoryResource(name: string): Resource {
  return { type: 'repository', name };
}

/** The access that reading a repository needs. */
export function pullAccess(name: string): Access {
  return { ...repositoryResource(name), actions: ['pull'] };
}

/** The access that writing to a repository needs: Distribution refuses `push` alone. */
export function pushAccess(name: string): Access {
  return { ...repositoryResource(name), actions: ['pull', 'push'] };
}

/** The access that deleting from a repository needs. */
export function deleteAccess(name: string): Access {
  return { ...repositoryResource(name), actions: ['delete'] };
}

/** The access that the list of all repositories needs; its action is a literal `*`. */
export function catalogAccess(): Access {
  return { type: 'registry', name: 'catalog', actions: ['*'] };
}

/** The scope parameter of a challenge or a token request: entries separated by spaces (Distribution spec/auth/scope.md). */
export function scopeText(access: readonly Access[]): string {
  return access.map(({ type, name, actions }) => `${type}:${name}:${actions.join(',')}`).join(' ');
}

/** Whether access contains an action, or `*`, on a resource. A name is never a pattern, not even `*`. */
export function grants(access: readonly Access[], resource: Resource, action: string): boolean {
  return access.some(
    ({ type, name, actions }) =>
      type === resource.type && name === resource.name && (actions.includes(action) || actions.includes('*')),
  );
}
