import type { EnvironmentContext } from '../../core/ports.ts';
import type { TaskSpec } from '../../core/model/task.ts';
import { DEDUPE_MS } from './constants.ts';

const DAY_MS = 86_400_000;

export const REGIONS = ['EU-CENTRAL-1', 'US-EAST-1'] as const;
export type Region = (typeof REGIONS)[number];

/** The region that this server is for its receivers (`REPOINT_QSTASH_REGION`); null: it does not say. Both spellings are taken. */
export function regionOf(context: EnvironmentContext): Region | null {
  const text = context.vars.REPOINT_QSTASH_REGION?.trim().toUpperCase().replaceAll('_', '-');
  return REGIONS.find((region) => region === text) ?? null;
}

/** A variable of the vendor's, the region's own (`US_EAST_1_QSTASH_TOKEN`) before the common one, as its SDK reads them. */
export function credential(
  context: EnvironmentContext,
  name: 'QSTASH_TOKEN' | 'QSTASH_CURRENT_SIGNING_KEY' | 'QSTASH_NEXT_SIGNING_KEY',
): string | undefined {
  const region = regionOf(context);
  const own = region === null ? undefined : context.vars[`${region.replaceAll('-', '_')}_${name}`];
  return own || context.vars[name] || undefined;
}

/** How long a de-duplication id counts. */
export function dedupeMs(context: EnvironmentContext): number {
  const seconds = positive(context.vars.REPOINT_QSTASH_DEDUPE_SECONDS);
  return seconds === null ? DEDUPE_MS : seconds * 1000;
}

/** How long messages and workflow runs, with their logs, and dead letters are kept. Undefined: as the whole server keeps what has ended. */
export function retentionOf(context: EnvironmentContext): TaskSpec['retention'] {
  const runs = positive(context.vars.REPOINT_QSTASH_RETENTION_DAYS);
  const letters = positive(context.vars.REPOINT_QSTASH_DLQ_RETENTION_DAYS);
  if (runs === null && letters === null) return undefined;
  return {
    ...(runs === null ? {} : { runMs: runs * DAY_MS }),
    ...(letters === null ? {} : { deadLetterMs: letters * DAY_MS }),
  };
}

export interface ApiLimits {
  /** Requests a second to everything but publishing and what workflows do. */
  burst: number | null;
  /** Messages a day (UTC). */
  daily: number | null;
}

export function apiLimits(context: EnvironmentContext): ApiLimits {
  return {
    burst: positive(context.vars.REPOINT_QSTASH_BURST_LIMIT),
    daily: positive(context.vars.REPOINT_QSTASH_DAILY_LIMIT),
  };
}

/** A setting that is not a positive number is not set. */
function positive(text: string | undefined): number | null {
  const n = Number(text);
  return text !== undefined && text.trim() !== '' && Number.isFinite(n) && n > 0 ? n : null;
}
