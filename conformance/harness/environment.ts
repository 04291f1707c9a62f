import { createHash, randomBytes } from 'node:crypto';

/** Credentials of one test file. In dev mode every well-formed key means the default environment, so names must be unique too. */
export interface Environment {
  /** Short and unique to the file and the run of the tests; safe in every vendor's names. */
  tag: string;
  inngestEventKey: string;
  inngestSigningKey: string;
  inngestSigningKeyFallback: string;
  triggerSecretKey: string;
  triggerAccessToken: string;
  triggerProjectRef: string;
  qstashToken: string;
  qstashCurrentSigningKey: string;
  qstashNextSigningKey: string;
}

// The public credentials of Upstash's own local server (upstash/qstash-js: src/dev-server/constants.ts): what a dev server signs with.
const QSTASH_DEV_CURRENT_SIGNING_KEY = 'sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r';
const QSTASH_DEV_NEXT_SIGNING_KEY = 'sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs';

export function environmentFor(file: string): Environment {
  const nonce = randomBytes(3).toString('hex');
  const tag = `${createHash('sha256').update(file).digest('hex').slice(0, 4)}${nonce}`;
  const hex = (label: string): string => createHash('sha256').update(`${label} ${tag}`).digest('hex');
  return {
    tag,
    inngestEventKey: `evt-${hex('event').slice(0, 24)}`,
    inngestSigningKey: `signkey-test-${hex('signing')}`,
    inngestSigningKeyFallback: `signkey-test-${hex('fallback')}`,
    triggerSecretKey: `tr_dev_${hex('trigger').slice(0, 20)}`,
    triggerAccessToken: `tr_pat_${hex('access').slice(0, 40)}`,
    triggerProjectRef: `proj_${hex('project').slice(0, 20)}`,
    qstashToken: Buffer.from(JSON.stringify({ UserID: `user-${tag}`, Password: hex('qstash').slice(0, 32) })).toString(
      'base64',
    ),
    qstashCurrentSigningKey: QSTASH_DEV_CURRENT_SIGNING_KEY,
    qstashNextSigningKey: QSTASH_DEV_NEXT_SIGNING_KEY,
  };
}
