// What may be asked of the admin API, as JSON schemas; what does not match is refused with one line that says where and
// what: a misspelt filter must not mean everything.
import type { FastifySchemaValidationError } from 'fastify/types/schema.js';

/** What was asked cannot be read: one line that says where, what, and what to give. */
export class InvalidInput extends Error {
  readonly statusCode = 400;
}

/** How the schemas are to be applied (options of Ajv): texts of a query become what the schema says, nothing is dropped. */
export const SCHEMA_OPTIONS = {
  // The schemas are ours: to check each by a schema of schemas takes a tenth of the start.
  meta: false,
  validateSchema: false,
  coerceTypes: 'array',
  removeAdditional: false,
  useDefaults: true,
  allErrors: false,
  verbose: true,
} as const;

const EXAMPLE = 'give {"repository":"group/project"}, or nothing';

/** States as the API tells and takes them. */
export const STATES = ['pending', 'syncing', 'synced', 'recheck', 'failed', 'unsupported'] as const;
const STATE_PATTERN = ` *(?:${STATES.join('|')}) *`;

// Each `description` completes the sentence `name: "value" is not …`.
const limit = (most = 1_000, usual = 100) =>
  ({
    type: 'integer',
    minimum: 1,
    maximum: most,
    default: usual,
    description: `a whole number from 1 to ${most}`,
  }) as const;
const id = {
  type: 'integer',
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'the "next" of the page before',
} as const;
const flag = { type: 'boolean', description: 'true or false' } as const;
const text = { type: 'string', maxLength: 4_096, description: 'a text of at most 4,096 characters' } as const;
const given = { ...text, minLength: 1, description: 'a text that names something' } as const;
const oneOf = <const T extends readonly string[]>(...values: T) =>
  ({ enum: values, description: `one of ${values.filter((value) => value !== '').join(', ')}` }) as const;
const state = oneOf('', ...STATES);

const fields = <const T extends object>(properties: T) =>
  ({ type: 'object', additionalProperties: false, properties }) as const;

/** The queries of what can be read, by what is asked for. */
export const QUERIES = {
  nothing: fields({}),
  rows: fields({
    state: {
      type: 'array',
      items: {
        type: 'string',
        pattern: `^${STATE_PATTERN}(?:,${STATE_PATTERN})*$`,
        description: `one of ${STATES.join(', ')}`,
      },
    },
    repository: text,
    held: flag,
    waiting: flag,
    cause: given,
    after: id,
    limit: limit(),
  }),
  repositories: fields({
    repository: text,
    failed: flag,
    group: text,
    search: text,
    state,
    sort: { ...oneOf('name', 'failed', 'pending', 'syncedAt'), default: 'name' },
    after: given,
    limit: limit(),
  }),
  repository: { ...fields({ name: given, search: text, state, after: id, limit: limit() }), required: ['name'] },
  groups: fields({ parent: text, after: given, limit: limit() }),
  image: { ...fields({ repository: given, reference: given }), required: ['repository', 'reference'] },
  pulls: fields({ after: id, limit: limit(1_000, 200) }),
  traffic: fields({ window: { ...oneOf('hour', 'day'), default: 'hour' } }),
} as const;

const named = { repository: text, reference: given };

/** What each order takes, in its query or in a JSON body. */
export const ORDER_FIELDS = {
  backfill: fields(named),
  verify: fields({ ...named, rehash: flag }),
  retry: fields({ ...named, cause: given }),
  'confirm-removals': fields(named),
  'clear-damaged': fields({ repository: text, digest: given }),
} as const;

/** The body of a login. */
export const LOGIN = { ...fields({ token: { ...text, description: 'a text' } }), required: ['token'] } as const;

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? 'nothing').slice(0, 200);
}

interface Verbose extends FastifySchemaValidationError {
  readonly data?: unknown;
  readonly parentSchema?: { readonly type?: string; readonly description?: string; readonly properties?: object };
}

/** The line that says what is wrong; `part` is `querystring` or `body`. */
export function invalidInput(errors: readonly FastifySchemaValidationError[], part: string): InvalidInput {
  const { keyword, instancePath, params, data, parentSchema = {} } = errors[0] as Verbose;
  const where = part === 'body' ? 'body' : 'query';
  const [, name = ''] = instancePath.split('/');
  if (keyword === 'additionalProperties') {
    const allowed = Object.keys(parentSchema.properties ?? {});
    const advice = allowed.length === 0 ? 'give nothing' : `give ${allowed.join(', ')} or nothing`;
    return new InvalidInput(`${where}: ${shown(params['additionalProperty'])} is unknown; ${advice}`);
  }
  if (keyword === 'required') return new InvalidInput(`${String(params['missingProperty'])}: it is missing; give it`);
  if (name === '') return new InvalidInput(`${where}: ${shown(data)} is no object; ${EXAMPLE}`);
  if (Array.isArray(data) && parentSchema.type !== 'array' && part !== 'body') {
    return new InvalidInput(`${name}: given ${data.length} times; give it once`);
  }
  return new InvalidInput(`${name}: ${shown(data)} is not ${parentSchema.description ?? 'what it must be'}`);
}

/** A body as JSON; an empty one is an empty object. @throws InvalidInput */
export function parseBody(body: string): unknown {
  if (body.trim() === '') return {};
  try {
    return JSON.parse(body) as unknown;
  } catch (cause) {
    throw new InvalidInput(`body: it is no JSON; ${EXAMPLE}`, { cause });
  }
}
