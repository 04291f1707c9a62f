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
}): string {
  const { url, mode, port } = facts;
  const lines = [
    `repoint ready on ${url}`,
    `  mode ${mode} · version ${facts.version} · data ${facts.dataDir} · ${Math.round(facts.startedInMs)} ms`,
    '',
    ...(mode === 'dev' ? devVariables(url, port) : productionVariables(url)),
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

function productionVariables(url: string): string[] {
  return [
    `  Inngest      INNGEST_BASE_URL=${url} and your INNGEST_EVENT_KEY, INNGEST_SIGNING_KEY`,
    `  Trigger.dev  TRIGGER_API_URL=${url} and your TRIGGER_SECRET_KEY (CLI: TRIGGER_ACCESS_TOKEN)`,
    `  QStash       QSTASH_URL=${url} and your QSTASH_TOKEN, QSTASH_CURRENT_SIGNING_KEY, QSTASH_NEXT_SIGNING_KEY`,
  ];
}
