import { branchEnvironment } from '../../core/model/placement.ts';
import type { EnvironmentContext } from '../../core/ports.ts';
import type { Bindings } from '../bindings.ts';
import { ENVIRONMENT_KEYS } from '../vendors.ts';
import { environmentContext } from './keys.ts';

/**
 * The environment that a request means, with its keys. What the request says is not proven here: the vendor's own check compares its key with
 * those of the environment that it names, so a key of one never counts in another. A name that does not exist here means the default one,
 * whose check refuses the key. At once for the default one: nearly every request means it.
 */
export function identify(
  env: Bindings,
  request: Request,
  base: EnvironmentContext,
): EnvironmentContext | Promise<EnvironmentContext> {
  for (const keys of ENVIRONMENT_KEYS) {
    const claim = keys.claim(request, base.mode);
    if (!claim) continue;
    const environment =
      claim.branch === undefined ? claim.environment : branchEnvironment(claim.environment, claim.branch);
    return environmentContext(env, environment, claim.keyVersion).then((own) => own ?? base);
  }
  return base;
}
