// A token service in GitLab's form for compose.yaml: one user, who may do all below demo/. Not for production.
import { createHash, createPrivateKey, createPublicKey, randomUUID, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const USER = 'demo:demo-password';
const LIFETIME = 300;
const key = createPrivateKey(readFileSync('/keys/registry.key'));

/** The key id that Distribution 2 looks a key up by: libtrust's. */
function keyId() {
  const der = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const bits = [...createHash('sha256').update(der).digest().subarray(0, 30)];
  const text = bits.map((byte) => byte.toString(2).padStart(8, '0')).join('');
  const letters = text.match(/.{5}/g).map((five) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[parseInt(five, 2)]);
  return letters.join('').match(/.{4}/g).join(':');
}

const HEADER = { typ: 'JWT', alg: 'RS256', kid: keyId() };

function tokenFor(access) {
  const now = Math.floor(Date.now() / 1_000);
  const claims = {
    iss: 'demo-issuer',
    aud: 'container_registry',
    sub: 'demo',
    jti: randomUUID(),
    iat: now,
    nbf: now - 5,
    exp: now + LIFETIME,
    access,
  };
  const text = [HEADER, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`;
}

/** What is asked for, as far as it is granted; `repository:demo/app:pull,push`. */
function granted(scopes) {
  return scopes
    .map((scope) => /^repository:(demo\/[^:]+):([a-z*,]+)$/.exec(scope))
    .filter((match) => match !== null)
    .map(([, name, actions]) => ({ type: 'repository', name, actions: actions.split(',') }));
}

const server = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://tokens');
  const [scheme, given = ''] = (request.headers.authorization ?? '').split(' ');
  // A POST is containerd's first try, in the form of OAuth; GitLab's 404 is what makes it ask by GET.
  const isAsking = request.method === 'GET' && pathname === '/jwt/auth';
  const isKnown = scheme.toLowerCase() === 'basic' && Buffer.from(given, 'base64').toString() === USER;
  const status = isAsking ? (isKnown ? 200 : 401) : 404;
  const scopes = searchParams.getAll('scope').flatMap((scope) => scope.split(' '));
  const body = status === 200 ? { token: tokenFor(granted(scopes)), expires_in: LIFETIME } : { errors: [] };
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
});
process.on('SIGTERM', () => process.exit(0));
server.listen(8080);
