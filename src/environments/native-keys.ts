import { isEnvironmentName } from '../../core/model/placement.ts';
import type { EnvironmentKeys } from '../../core/ports.ts';

/** The native API's bearer key: `rp_api<version>_<environment>_<digits>`. */
const KEY = /^Bearer rp_api(\d{1,6})_([a-z][a-z0-9-]*)_[0-9a-f]{32}$/i;

export const nativeKeys: EnvironmentKeys = {
  claim(request) {
    const authorization = request.headers.get('authorization');
    if (!authorization?.startsWith('Bearer rp_api')) return null;
    const match = KEY.exec(authorization);
    return match?.[2] !== undefined && isEnvironmentName(match[2])
      ? { environment: match[2], keyVersion: Number(match[1]) }
      : null;
  },

  async variables(environment, keyVersion, derive) {
    return { REPOINT_API_KEY: `rp_api${keyVersion}_${environment}_${(await derive('native-api')).slice(0, 32)}` };
  },
};
