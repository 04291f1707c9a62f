import { DEFAULT_PORT, type Mode } from './options.ts';

/** Public credentials of the vendors' own local tools; in development mode any well-formed key means the default environment. */
const QSTASH_DEV_TOKEN = 'eyJVc2VySUQiOiJkZWZhdWx0VXNlciIsIlBhc3N3b3JkIjoiZGVmYXVsdFBhc3N3b3JkIn0=';

/**
 * What is printed when the server answers. The first line has the fixed form `repoint ready on <url>`, for a parent process.
 */
export function readyMessage(facts: {
  url: string;
  mode: Mode;
  port: number;
  version: string;
  dataDir: string;
  startedInMs: number;
  /** The variables of the process: said is which are set, never a value. */
  env: Readonly<Record<string, string | undefined>>;
}): string {
  const { url, mode, port } = facts;
  const lines = [
    `repoint ready on ${url}`,
    `  mode ${mode} · version ${facts.version} · data ${facts.dataDir} · ${Math.round(facts.startedInMs)} ms`,
    '',
    ...(mode === 'dev' ? devVariables(url, port) : productionVariables(url, facts.env)),
    '',
  ];
  return lines.join('\n');
}

function devVariables(url: string, port: number): string[] {
  return [
    port === DEFAULT_PORT
      ? `  Inngest      nothing to set in development (or INNGEST_DEV=${url})`
      : `  Inngest      INNGEST_DEV=${url}`,
    `  Trigger.dev  TRIGGER_API_URL=${url} TRIGGER_SECRET_KEY=tr_dev_local`,
    `               and for its CLI TRIGGER_ACCESS_TOKEN=tr_pat_local`,
    `  QStash       QSTASH_URL=${url} QSTASH_TOKEN=${QSTASH_DEV_TOKEN}`,
    `               or QSTASH_DEV=true QSTASH_DEV_PORT=${port}`,
  ];
}

/** By vendor: what an app sets beside its keys, and the keys that the server must have for that. */
const VENDORS = [
  { name: 'Inngest', variable: 'INNGEST_BASE_URL', keys: ['INNGEST_EVENT_KEY', 'INNGEST_SIGNING_KEY'] },
  { name: 'Trigger.dev', variable: 'TRIGGER_API_URL', keys: ['TRIGGER_SECRET_KEY', 'TRIGGER_ACCESS_TOKEN'] },
  {
    name: 'QStash',
    variable: 'QSTASH_URL',
    keys: ['QSTASH_TOKEN', 'QSTASH_CURRENT_SIGNING_KEY', 'QSTASH_NEXT_SIGNING_KEY'],
  },
] as const;
const MIN_SECRET_CHARS = 32;

function productionVariables(url: string, env: Readonly<Record<string, string | undefined>>): string[] {
  const lines = VENDORS.map(({ name, variable, keys }) => {
    const missing = keys.filter((key) => !env[key]);
    const state =
      missing.length === 0
        ? `open: ${variable}=${url} and the keys that this server has`
        : missing.length === keys.length
          ? `closed in the default environment: no ${keys.join(', ')}`
          : `open in part: no ${missing.join(', ')}`;
    return `  ${name.padEnd(12)} ${state}`;
  });
  const secret = env.REPOINT_ROOT_SECRET ?? '';
  const further =
    secret.length >= MIN_SECRET_CHARS
      ? 'npx repoint keys <environment> prints the variables of one, whatever its name'
      : secret === ''
        ? 'none: set REPOINT_ROOT_SECRET (openssl rand -hex 32), start again, then npx repoint keys <environment>'
        : `none: REPOINT_ROOT_SECRET has ${secret.length} characters, it needs ${MIN_SECRET_CHARS}`;
  return [...lines, `  environments ${further}`];
}
