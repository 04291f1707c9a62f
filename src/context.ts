import { DEFAULT_ENVIRONMENT } from '../core/model/placement.ts';
import type { EnvironmentContext } from '../core/ports.ts';
import type { Bindings } from './bindings.ts';

const contexts = new WeakMap<Bindings, EnvironmentContext>();

/** Mode, keys and public URL of the default environment, from the Worker's variables; read once per isolate. Others: environments/keys.ts. */
export function contextOf(env: Bindings): EnvironmentContext {
  let context = contexts.get(env);
  if (!context) {
    const vars: Record<string, string> = {};
    for (const [name, value] of Object.entries(env)) if (typeof value === 'string') vars[name] = value;
    context = {
      // Anything but an explicit `dev` is production: the open mode is never guessed.
      environment: DEFAULT_ENVIRONMENT,
      mode: vars.REPOINT_MODE === 'dev' ? 'dev' : 'production',
      serverUrl: (vars.REPOINT_URL ?? '').replace(/\/+$/, ''),
      wallClockMs: () => Date.now(),
      vars,
    };
    contexts.set(env, context);
  }
  return context;
}
