import { DEFAULT_ENVIRONMENT, keyedEnvironment } from '../../core/model/placement.ts';
import type { EnvironmentContext } from '../../core/ports.ts';
import type { Bindings } from '../bindings.ts';
import { contextOf } from '../context.ts';
import { ENVIRONMENT_KEYS } from '../vendors.ts';

/** Root of the keys of a dev server, which takes any key anyway. */
const DEV_ROOT_SECRET = 'repoint-development-root-secret-0000';
const MIN_SECRET_CHARS = 32;
/** Contexts kept; a rotation or a swarm of made-up names must not grow the table for ever. */
const MAX_CONTEXTS = 200;

const contexts = new WeakMap<Bindings, Map<string, Promise<EnvironmentContext>>>();

/** The secret from which the keys of further environments follow; null: there are none. */
function rootSecretOf({ mode, vars }: EnvironmentContext): string | null {
  const secret = vars.REPOINT_ROOT_SECRET ?? '';
  if (secret.length >= MIN_SECRET_CHARS) return secret;
  return mode === 'dev' ? DEV_ROOT_SECRET : null;
}

/** Newest version of the derived keys; the one before it counts too, so that apps can be moved one by one. */
export function keyVersionOf({ vars }: EnvironmentContext): number {
  const version = Number(vars.REPOINT_KEY_VERSION ?? '1');
  return Number.isInteger(version) && version > 0 ? version : 1;
}

/**
 * Mode, keys and public URL of an environment: the default one's from the variables, another's keys derived, so that any Worker knows them
 * without asking. Null: this server has no such environment, or the keys are of another version.
 */
export async function environmentContext(
  env: Bindings,
  environment: string,
  keyVersion?: number,
): Promise<EnvironmentContext | null> {
  const base = contextOf(env);
  const keyed = keyedEnvironment(environment);
  if (keyed === DEFAULT_ENVIRONMENT) return environment === DEFAULT_ENVIRONMENT ? base : { ...base, environment };
  const newest = keyVersionOf(base);
  const version = keyVersion ?? newest;
  const secret = rootSecretOf(base);
  if (secret === null || version > newest || version < newest - 1 || version < 1) return null;
  let known = contexts.get(env);
  if (!known) contexts.set(env, (known = new Map()));
  const id = `${keyed} ${version}`;
  let context = known.get(id);
  if (!context) {
    if (known.size >= MAX_CONTEXTS) known.clear();
    context = derivedContext(base, secret, keyed, version);
    known.set(id, context);
  }
  const own = await context;
  return own.environment === environment ? own : { ...own, environment };
}

async function derivedContext(
  base: EnvironmentContext,
  secret: string,
  environment: string,
  version: number,
): Promise<EnvironmentContext> {
  return { ...base, environment, vars: { ...base.vars, ...(await derivedKeys(secret, environment, version)) } };
}

/** All keys of an environment, by the names of the variables that apps and this server read them from. */
async function derivedKeys(secret: string, environment: string, version: number): Promise<Record<string, string>> {
  const key = await crypto.subtle.importKey(
    'raw',
    new TextEncoder().encode(secret),
    { name: 'HMAC', hash: 'SHA-256' },
    false,
    ['sign'],
  );
  const derive = async (purpose: string, keyVersion = version): Promise<string> => {
    const text = new TextEncoder().encode(`${purpose}\n${environment}\n${keyVersion}`);
    return Array.from(new Uint8Array(await crypto.subtle.sign('HMAC', key, text)), (byte) =>
      byte.toString(16).padStart(2, '0'),
    ).join('');
  };
  const vendors = await Promise.all(ENVIRONMENT_KEYS.map((keys) => keys.variables(environment, version, derive)));
  return Object.assign({}, ...vendors) as Record<string, string>;
}

/** Names of the variables that `derivedKeys` sets, and their values for one environment. Null as in `environmentContext`. */
export async function keysOf(env: Bindings, environment: string): Promise<Record<string, string> | null> {
  const base = contextOf(env);
  const secret = rootSecretOf(base);
  return secret === null ? null : derivedKeys(secret, environment, keyVersionOf(base));
}
