import { DEFAULT_ENVIRONMENT, isEnvironmentName } from '../../core/model/placement.ts';
import type { EnvironmentClaim, EnvironmentKeys } from '../../core/ports.ts';
import { peekDeployment } from './deployment-ids.ts';
import { peekSubject } from './jwt.ts';

/** `tr_<kind>_rp<version>_<environment>_<digits>`; the kind is the type of the environment for the vendor. */
const KEY = /^tr_(dev|prod|stg|preview|pat)_rp(\d{1,6})_([a-z][a-z0-9-]*)_[0-9a-f]{32}$/;
/** Only these kinds of environments have branches (trigger.dev: isPreviewOrDevBranch). */
const BRANCHED = /^tr_(dev|preview|pat)_/;
const MAX_BRANCH_CHARS = 255;
/** As in auth.ts, which reads this file's subjects. */
const WORKLOAD_HEADER = 'x-trigger-workload-deployment-id';
export const BRANCH_HEADER = 'x-trigger-branch';
/** A development session that names no branch of its own. */
const NO_BRANCH = 'default';

export const triggerKeys: EnvironmentKeys = {
  claim(request) {
    const token = request.headers.get('authorization')?.slice(7);
    if (token === undefined) return claimOfDeployment(request.headers) ?? claimOfAddress(request.url);
    if (token.startsWith('eyJ')) return environmentOfSubject(peekSubject(token));
    if (!token.startsWith('tr_')) return null;
    const match = KEY.exec(token);
    const keyed: EnvironmentClaim | null =
      match?.[3] !== undefined && isEnvironmentName(match[3])
        ? { environment: match[3], keyVersion: Number(match[2]) }
        : null;
    const branch = request.headers.get(BRANCH_HEADER);
    if (branch === null || branch === '' || branch === NO_BRANCH || branch.length > MAX_BRANCH_CHARS) return keyed;
    return BRANCHED.test(token) ? { ...keyed, environment: keyed?.environment ?? 'default', branch } : keyed;
  },

  async variables(environment, keyVersion, derive) {
    const suffix = async (purpose: string): Promise<string> =>
      `rp${keyVersion}_${environment}_${(await derive(purpose)).slice(0, 32)}`;
    return {
      TRIGGER_SECRET_KEY: `tr_${kindOf(environment)}_${await suffix('trigger-secret')}`,
      TRIGGER_ACCESS_TOKEN: `tr_pat_${await suffix('trigger-access')}`,
    };
  },
};

/** What an environment of this name is for the vendor: its keys say so, and its workers are treated accordingly. */
function kindOf(environment: string): 'dev' | 'prod' | 'stg' | 'preview' {
  if (environment.startsWith('dev')) return 'dev';
  if (/^(stg|stag)/.test(environment)) return 'stg';
  return environment.startsWith('preview') ? 'preview' : 'prod';
}

/** Subject of the public tokens that a server signs itself: `env_<environment>`. A client's own is 24 hexadecimal digits (auth.ts). */
export function subjectOf(environment: string): string {
  return `env_${environment}`;
}

/** How a branch's environment calls itself: as the request does, else as its own name has it, in which not every character is kept. Null for any other environment. */
export function branchOf(environment: string, header: string | undefined): string | null {
  const named = environment.split('~')[1];
  return named === undefined ? null : (header ?? named);
}

/** The environment with its branch, if it is one. */
const NAMED = '([a-z][a-z0-9-]{0,39}(?:~[a-z0-9-]{1,80})?)';
const SUBJECT = new RegExp(`^env_${NAMED}$`);
const CALLBACK = new RegExp(`/api/v1/waitpoints/tokens/[^/?]+/callback/[^/?]+\\?environment=${NAMED}$`);

/** Where a worker sends its telemetry (routes/otlp.ts): the exporters send no key. */
const TELEMETRY = new RegExp(`/otel/${NAMED}/[0-9a-f]{32}/v1/[a-z]+$`);

function environmentOfSubject(subject: string | null): EnvironmentClaim | null {
  const environment = SUBJECT.exec(subject ?? '')?.[1];
  return environment === undefined || /^([0-9a-f]{24}|default)$/.test(environment) ? null : { environment };
}

/** A deployed worker sends no key: its deployment's id says where it belongs. */
function claimOfDeployment(headers: Headers): EnvironmentClaim | null {
  const id = headers.get(WORKLOAD_HEADER) ?? headers.get('x-trigger-deployment-id');
  const environment = id === null ? undefined : peekDeployment(id)?.environment;
  return environment === undefined || environment === DEFAULT_ENVIRONMENT ? null : { environment };
}

/** A token's callback address carries its own proof, and says where the token is. */
function claimOfAddress(url: string): EnvironmentClaim | null {
  const address = url.includes('/callback/') ? CALLBACK : url.includes('/otel/') ? TELEMETRY : null;
  const environment = address?.exec(url)?.[1];
  return environment === undefined || environment === 'default' ? null : { environment };
}
