import type { EventInput, EventRecord } from '../../core/model/event.ts';
import { nextOccurrence, parseCron } from '../../core/schedule/cron.ts';
import type { JsonText, Payload } from '../../core/model/payload.ts';
import { canonicalJson, canonicalObject } from './canonical.ts';
import { InngestError } from './errors.ts';
import { newEventId, seededId } from './ids.ts';
import type { IdSeed } from './ids.ts';
import { FUNCTION_INVOKED, INTERNAL_PREFIX, SCHEDULED_TIMER } from './names.ts';
import { EVENT_INPUT_META, readRunMeta } from './run-meta.ts';
import { mergeSessions } from './sessions.ts';

/** Events of one request (inngest/inngest: pkg/consts MaxEvents). */
export const MAX_EVENTS = 5_000;
/** Characters of a name at ingest. */
const MAX_NAME_CHARS = 512;
/** Absolute size of one event: 3 MiB. */
export const MAX_EVENT_BYTES = 3 * 1_048_576;
/** The same user id starts a function once in this time. */
const DEDUPE_MS = 86_400_000;
/** Bounds of `ts` (inngest/inngest: pkg/event Validate: 1980 to 2100). */
const MIN_TS = Date.UTC(1980, 0, 1);
const MAX_TS = Date.UTC(2100, 0, 1);

function bad(message: string): InngestError {
  return new InngestError(400, 'invalid_event', message);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** One event of a request as the engine stores it: the canonical text that user code will receive. `index` counts from 1. Throws InngestError. */
export function toEventInput(raw: unknown, index: number, nowMs: number, seed: IdSeed | null): EventInput {
  if (!isObject(raw)) throw bad('an event must be an object');
  const { name, ts, id: ownId, v } = raw;
  if (typeof name !== 'string' || name === '') throw bad('event name is empty');
  if (name.length > MAX_NAME_CHARS) throw bad(`event name is longer than ${MAX_NAME_CHARS} characters`);
  if (name.startsWith(INTERNAL_PREFIX)) throw bad(`event name is reserved for internal use: ${name}`);
  if (ownId !== undefined && ownId !== null && typeof ownId !== 'string') throw bad('event id must be a string');
  if (v !== undefined && v !== null && typeof v !== 'string') throw bad('event version must be a string');
  const at = timestamp(ts, nowMs);
  const data = memberObject(raw, 'data');
  const { _inngest: _, ...rest } = data;
  const id = seed ? seededId(seed, index) : newEventId(nowMs);
  const dedupeId = typeof ownId === 'string' && ownId !== '' ? ownId : undefined;
  const body = canonicalObject([
    ['data', canonicalJson(rest)],
    ['id', JSON.stringify(dedupeId ?? id)],
    ['meta', mergeSessions(raw['meta'])],
    ['name', JSON.stringify(name)],
    ['ts', String(at)],
    ['user', canonicalJson(memberObject(raw, 'user'))],
    ['v', typeof v === 'string' && v !== '' ? JSON.stringify(v) : undefined],
  ]);
  if (body.length > MAX_EVENT_BYTES)
    throw new InngestError(413, 'event_too_large', `event ${index} is larger than ${MAX_EVENT_BYTES} bytes`);
  return { id, name, ts: at, body, ...(dedupeId === undefined ? {} : { dedupeId, dedupeMs: DEDUPE_MS }) };
}

function timestamp(ts: unknown, nowMs: number): number {
  if (ts === undefined || ts === null || ts === 0) return nowMs;
  if (typeof ts !== 'number' || !Number.isInteger(ts)) throw bad('ts must be an integer: milliseconds since the epoch');
  if (ts < MIN_TS || ts >= MAX_TS) throw bad('ts must lie between 1980 and 2100, in milliseconds since the epoch');
  return ts;
}

function memberObject(event: Record<string, unknown>, key: string): Record<string, unknown> {
  const value = event[key];
  if (value === undefined || value === null) return {};
  if (!isObject(value)) throw bad(`event ${key} must be an object`);
  return value;
}

/** The event of an invocation: never stored by itself, it is the child's input. */
export function invokedEvent(
  payload: unknown,
  source: Record<string, unknown>,
  nowMs: number,
  id: string = newEventId(nowMs),
): JsonText {
  const given = isObject(payload) ? payload : {};
  const data = isObject(given['data']) ? given['data'] : {};
  return canonicalObject([
    ['data', canonicalJson({ ...data, _inngest: source })],
    ['id', JSON.stringify(id)],
    ['meta', mergeSessions(given['meta'])],
    ['name', JSON.stringify(FUNCTION_INVOKED)],
    ['ts', String(nowMs)],
    ['user', canonicalJson(isObject(given['user']) ? given['user'] : {})],
    ['v', typeof given['v'] === 'string' ? JSON.stringify(given['v']) : undefined],
  ]);
}

/** What is known of a run's origin, whoever asks: a call, an end, a read. */
export interface RunOrigin {
  events: EventRecord[];
  input: Payload | null;
  meta: JsonText | null;
  scheduledAt: number | null;
  createdAt: number;
  /** When its first call was due. */
  startDueAt: number;
  /** Id of the run: that of an event nobody sent. */
  run: string;
  /** Cron patterns of the task, and whether any of them fires some time after its hour. */
  crons: readonly string[];
  jitter?: true | undefined;
}

/** The events a run was started with, oldest first, as canonical text. Never empty. */
export function eventsOf(origin: RunOrigin): JsonText[] {
  if (origin.events.length > 0) return origin.events.map((event) => event.body);
  if (origin.scheduledAt !== null) return [timerEvent(origin, origin.scheduledAt)];
  const input = origin.input === null ? '{}' : textOf(origin.input);
  const isEvent = origin.meta === EVENT_INPUT_META || readRunMeta(origin.meta).e === 1;
  return [isEvent ? input : wrapInput(input, origin)];
}

function timerEvent(origin: RunOrigin, scheduledAt: number): JsonText {
  const at = new Date(scheduledAt).toISOString();
  const cron = origin.crons.length > 1 ? origin.crons.find((text) => occursAt(text, scheduledAt)) : undefined;
  // How late the server was is no part of when it was to fire.
  const fireAt = origin.jitter ? new Date(Math.max(scheduledAt, origin.startDueAt)).toISOString() : at;
  return canonicalJson({
    data: { cron: cron ?? origin.crons[0] ?? '', fireAt, scheduledAt: at },
    id: at.replace('.000Z', 'Z'),
    name: SCHEDULED_TIMER,
    ts: scheduledAt,
    user: {},
  });
}

function occursAt(text: string, atMs: number): boolean {
  const parsed = parseCron(text);
  return parsed.ok && nextOccurrence(parsed.cron, atMs - 1) === atMs;
}

/** A run started by another door: its input becomes the data of an invocation. */
function wrapInput(input: string, origin: RunOrigin): JsonText {
  let value: unknown;
  try {
    value = JSON.parse(input);
  } catch {
    value = { input };
  }
  const data = isObject(value) ? value : { input: value };
  return canonicalJson({ data, id: origin.run, name: FUNCTION_INVOKED, ts: origin.createdAt, user: {} });
}

export function textOf(payload: Payload): string {
  return typeof payload === 'string' ? payload : new TextDecoder().decode(payload);
}

/** Name of an event in canonical form, without parsing its data. */
export function nameIn(event: JsonText): string {
  const parsed = JSON.parse(event) as { name?: unknown };
  return typeof parsed.name === 'string' ? parsed.name : '';
}
