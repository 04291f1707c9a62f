import type { Phase } from '../bench.ts';
import { idle } from './idle.ts';
import { ingestPhase } from './ingest.ts';
import { latency } from './latency.ts';
import { listeners } from './listeners.ts';
import { qstashLoad } from './qstash-load.ts';
import { qstash } from './qstash.ts';
import { sleepers } from './sleepers.ts';
import { throughput } from './throughput.ts';
import { triggerCli } from './trigger-cli.ts';
import { trigger } from './trigger.ts';

/** In the order of their running and of the report. */
export const PHASES: readonly Phase[] = [
  idle,
  latency,
  throughput,
  qstash,
  trigger,
  triggerCli,
  ingestPhase,
  sleepers,
  listeners,
  qstashLoad,
];
