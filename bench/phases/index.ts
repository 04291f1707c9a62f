import type { Phase } from '../bench.ts';
import { burst } from './burst.ts';
import { checkpoint } from './checkpoint.ts';
import { idle } from './idle.ts';
import { ingestPhase } from './ingest.ts';
import { latency } from './latency.ts';
import { listeners } from './listeners.ts';
import { qstashLoad } from './qstash-load.ts';
import { qstash } from './qstash.ts';
import { sleepers } from './sleepers.ts';
import { stored } from './stored.ts';
import { throughput } from './throughput.ts';
import { triggerCli } from './trigger-cli.ts';
import { triggerLoad } from './trigger-load.ts';
import { trigger } from './trigger.ts';
import { waits } from './waits.ts';

/** In the order of their running and of the report. */
export const PHASES: readonly Phase[] = [
  idle,
  latency,
  throughput,
  burst,
  checkpoint,
  qstash,
  trigger,
  triggerCli,
  ingestPhase,
  sleepers,
  stored,
  waits,
  listeners,
  qstashLoad,
  triggerLoad,
];
