import { compileArithmetic } from '../../core/schedule/arithmetic.ts';
import { parseDuration } from '../../core/schedule/durations.ts';
import {
  MAX_DELAY_MS,
  MAX_FLOW_PERIOD_MS,
  MAX_NAME_LENGTH,
  MAX_PARALLELISM,
  MAX_RETRIES,
  MAX_TIMEOUT_MS,
  MAX_URL_LENGTH,
} from './constants.ts';
import { badHeader, WireError } from './errors.ts';
import { canonicalName, type HeaderList, isHeaderName, isHeaderValue, mayForward } from './headers.ts';

export interface FlowControl {
  key: string;
  parallelism?: number;
  rate?: number;
  periodMs?: number;
}

/** `Upstash-Workflow-*`. */
export interface WorkflowOptions {
  runId: string;
  init: boolean;
  url?: string;
  callType?: string;
  invoke?: boolean;
  triggeredBySdk?: boolean;
  /** Which of the runs that have had this id; older SDKs do not say. Milliseconds. */
  createdAt?: number;
}

/** What may be said of a message and of its callbacks alike. */
export interface DeliveryOptions {
  method?: string;
  contentType?: string;
  /** Headers for the destination, prefix removed. */
  forward: HeaderList;
  delayMs?: number;
  /** Seconds on the wire, milliseconds here. */
  notBeforeMs?: number;
  retries?: number;
  retryDelay?: string;
  timeoutMs?: number;
  flowControl?: FlowControl;
  callback?: Target;
  failureCallback?: Target;
  labels?: string[];
  redact?: Redaction;
  workflow?: WorkflowOptions;
  features?: string;
}

export interface Target extends DeliveryOptions {
  url: string;
}

export interface Redaction {
  body?: boolean;
  /** True: all of them. */
  headers?: true | string[];
}

export interface PublishOptions extends DeliveryOptions {
  dedupeId?: string;
  contentDedupe?: boolean;
  cron?: string;
  scheduleId?: string;
  queue?: string;
  unknownSdk?: boolean;
}

const METHODS = new Set(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']);
const NAME = /^[A-Za-z0-9\-_.]+$/;
const MAX_LABELS = 32;
/** A callback's callback's failure callback is as deep as any client goes. */
const MAX_DEPTH = 3;

/** Reads every `Upstash-*` header. Throws WireError 400 that names the header and the reason; 412 above a quota. */
export function parseOptions(headers: Iterable<readonly [string, string]>): PublishOptions {
  return read(headers, '', 0);
}

function read(headers: Iterable<readonly [string, string]>, prefix: string, depth: number): PublishOptions {
  const options: PublishOptions = { forward: [] };
  const others: HeaderList = [];
  let callback: HeaderList | null = null;
  let failureCallback: HeaderList | null = null;
  let flowKey: string | undefined;
  let flowValue: string | undefined;
  let forwardAll = false;
  let init: string | undefined;
  const workflow: Partial<WorkflowOptions> = {};

  for (const [rawName, value] of headers) {
    const lower = rawName.toLowerCase();
    if (!lower.startsWith('upstash-')) {
      if (lower === 'content-type') options.contentType = value;
      else others.push([lower, value]);
      continue;
    }
    const name = lower.slice('upstash-'.length);
    const shown = canonicalName(`upstash-${prefix}${name}`);
    if (name.startsWith('forward-')) {
      const forwarded = name.slice('forward-'.length);
      if (!isHeaderName(forwarded)) throw badHeader(shown, value, 'does not name a header');
      if (!isHeaderValue(value)) throw badHeader(shown, value, 'has characters that no header may have');
      // SDKs forward whatever a request had: with this one on every delivery a run would be started anew for ever.
      if (forwarded === 'upstash-workflow-unknown-sdk') options.unknownSdk = flag(shown, value);
      else if (mayForward(forwarded)) options.forward.push([forwarded, value]);
      continue;
    }
    if (name.startsWith('failure-callback')) {
      (failureCallback ??= []).push([name.slice('failure-callback'.length), value]);
      continue;
    }
    if (name.startsWith('callback')) {
      (callback ??= []).push([name.slice('callback'.length), value]);
      continue;
    }
    switch (name) {
      case 'method':
        options.method = value.toUpperCase();
        if (!METHODS.has(options.method)) throw badHeader(shown, value, 'is not GET, POST, PUT, PATCH or DELETE');
        break;
      case 'delay':
        options.delayMs = duration(shown, value, MAX_DELAY_MS);
        break;
      case 'not-before': {
        const seconds = Number(value);
        if (value.trim() === '' || !Number.isFinite(seconds) || seconds < 0 || seconds > 253_402_300_799) {
          throw badHeader(shown, value, 'is not a unix time in seconds');
        }
        options.notBeforeMs = Math.round(seconds * 1000);
        break;
      }
      case 'retries': {
        const retries = integer(shown, value);
        if (retries > MAX_RETRIES)
          throw new WireError(412, `quota exceeded: ${shown} is ${retries}, at most ${MAX_RETRIES}`);
        options.retries = retries;
        break;
      }
      case 'retry-delay': {
        const formula = compileArithmetic(value);
        if (!formula.ok) throw badHeader(shown, value, `is not an expression: ${formula.error}`);
        options.retryDelay = value;
        break;
      }
      case 'timeout':
        options.timeoutMs = duration(shown, value, MAX_TIMEOUT_MS);
        if (options.timeoutMs < 1) throw badHeader(shown, value, 'must be longer than 0');
        break;
      case 'deduplication-id':
        if (value === '' || value.length > MAX_NAME_LENGTH)
          throw badHeader(shown, value, `must have 1 to ${MAX_NAME_LENGTH} characters`);
        options.dedupeId = value;
        break;
      case 'content-based-deduplication':
        options.contentDedupe = flag(shown, value);
        break;
      case 'cron':
        options.cron = value.trim();
        break;
      case 'schedule-id':
        options.scheduleId = resourceName(shown, value);
        break;
      case 'queue-name':
        options.queue = resourceName(shown, value);
        break;
      case 'flow-control-key':
        flowKey = resourceName(shown, value);
        break;
      case 'flow-control-value':
        flowValue = value;
        break;
      case 'label':
        options.labels = labels(shown, value);
        break;
      case 'redact-fields':
        options.redact = redaction(shown, value);
        break;
      case 'header-forward':
        forwardAll = flag(shown, value);
        break;
      case 'feature-set':
        options.features = value;
        break;
      case 'workflow-runid':
        if (value.length === 0 || value.length > MAX_NAME_LENGTH)
          throw badHeader(shown, value, `must have 1 to ${MAX_NAME_LENGTH} characters`);
        workflow.runId = value;
        break;
      case 'workflow-init':
        init = value;
        break;
      case 'workflow-url':
        workflow.url = value;
        break;
      case 'workflow-calltype':
        workflow.callType = value;
        break;
      case 'workflow-invoke':
        workflow.invoke = flag(shown, value);
        break;
      case 'workflow-trigger-by-sdk':
        workflow.triggeredBySdk = flag(shown, value);
        break;
      case 'workflow-createdat':
        workflow.createdAt = integer(shown, value);
        break;
      case 'workflow-unknown-sdk':
        options.unknownSdk = flag(shown, value);
        break;
      default:
        // Telemetry, and what newer clients may add: never forwarded, never shown.
        break;
    }
  }

  if (forwardAll) {
    for (const [name, value] of others)
      if (name !== 'authorization' && mayForward(name)) options.forward.push([name, value]);
  }
  if (flowKey !== undefined || flowValue !== undefined) options.flowControl = flowControl(prefix, flowKey, flowValue);
  if (workflow.runId !== undefined) options.workflow = { ...workflow, runId: workflow.runId, init: init === 'true' };
  const inner = depth < MAX_DEPTH;
  if (callback && inner) options.callback = target(callback, `${prefix}callback`, depth);
  if (failureCallback && inner) options.failureCallback = target(failureCallback, `${prefix}failure-callback`, depth);
  return options;
}

/** Reads `-Retries`, `-Forward-X` ... of one callback; the pair with the empty name is its URL. Undefined without one. */
function target(pairs: HeaderList, prefix: string, depth: number): Target | undefined {
  const url = pairs.find(([name]) => name === '')?.[1];
  const shown = canonicalName(`upstash-${prefix}`);
  const own: HeaderList = pairs
    .filter(([name]) => name.startsWith('-'))
    .map(([name, value]) => [`upstash${name}`, value]);
  const options = read(own, `${prefix}-`, depth + 1);
  if (url === undefined) return undefined;
  if (!isHttpUrl(url)) throw badHeader(shown, url, 'is not an http or https URL');
  if (options.delayMs !== undefined || options.notBeforeMs !== undefined) {
    throw new WireError(400, `invalid header ${shown}-Delay: callbacks cannot be delayed`);
  }
  return { ...options, url };
}

export function isHttpUrl(text: string): boolean {
  return text.length <= MAX_URL_LENGTH && /^https?:\/\/[^/]/i.test(text) && URL.canParse(text);
}

export function resourceName(header: string, value: string): string {
  if (!NAME.test(value) || value.length > MAX_NAME_LENGTH) {
    throw badHeader(header, value, 'may have only letters, digits, hyphen, underscore and period');
  }
  return value;
}

/** `1d10h30m`; a plain number counts as seconds (`context.call` sends its timeout so). */
export function duration(header: string, value: string, maxMs: number): number {
  const text = value.trim();
  const ms = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : parseDuration(text);
  if (ms === null || !Number.isFinite(ms) || ms < 0)
    throw badHeader(header, value, 'is not a duration such as 50s, 10m or 1d10h30m');
  if (ms > maxMs)
    throw new WireError(412, `quota exceeded: ${header} is ${text}, at most ${Math.floor(maxMs / 1000)}s`);
  return Math.round(ms);
}

function integer(header: string, value: string): number {
  if (!/^\d{1,15}$/.test(value.trim())) throw badHeader(header, value, 'is not a whole number of at least 0');
  return Number(value);
}

function flag(header: string, value: string): boolean {
  const text = value.trim().toLowerCase();
  if (text === 'true' || text === '1') return true;
  if (text === 'false' || text === '0' || text === '') return false;
  throw badHeader(header, value, 'is neither true nor false');
}

function labels(header: string, value: string): string[] {
  const list = value.split(',').map((label) => label.trim());
  if (list.length > MAX_LABELS) throw badHeader(header, value, `has more than ${MAX_LABELS} labels`);
  for (const label of list) resourceName(header, label);
  return [...new Set(list)];
}

function redaction(header: string, value: string): Redaction {
  const result: Redaction = {};
  for (const part of value.split(',').map((field) => field.trim())) {
    if (part === 'body') result.body = true;
    else if (part === 'header' || part === 'headers') result.headers = true;
    else {
      const name = /^headers?\[([^\]]+)\]$/.exec(part)?.[1];
      if (name === undefined) throw badHeader(header, value, 'may have body, header and header[Name]');
      if (result.headers !== true) result.headers = [...(result.headers ?? []), name.toLowerCase()];
    }
  }
  return result;
}

function flowControl(prefix: string, key: string | undefined, value: string | undefined): FlowControl {
  const keyHeader = canonicalName(`upstash-${prefix}flow-control-key`);
  const valueHeader = canonicalName(`upstash-${prefix}flow-control-value`);
  if (key === undefined) throw new WireError(400, `invalid header ${valueHeader}: ${keyHeader} is missing`);
  const result: FlowControl = { key };
  for (const part of (value ?? '').split(',')) {
    if (part.trim() === '') continue;
    const [name, setting] = part.split('=', 2).map((text) => text.trim()) as [string, string | undefined];
    if (setting === undefined) throw badHeader(valueHeader, part, 'is not name=value');
    switch (name.toLowerCase()) {
      case 'parallelism':
        result.parallelism = bounded(valueHeader, setting, MAX_PARALLELISM);
        break;
      case 'rate':
      case 'ratepersecond':
        result.rate = bounded(valueHeader, setting, 1_000_000_000);
        break;
      case 'period':
        result.periodMs = duration(valueHeader, setting, MAX_FLOW_PERIOD_MS);
        break;
      default:
        throw badHeader(valueHeader, part, 'is not parallelism, rate or period');
    }
  }
  if (result.parallelism === undefined && result.rate === undefined) {
    throw new WireError(400, `invalid header ${valueHeader}: give at least one of parallelism and rate`);
  }
  if (result.rate !== undefined) result.periodMs ??= 1000;
  return result;
}

function bounded(header: string, value: string, max: number): number {
  const number = integer(header, value);
  if (number < 1 || number > max) throw badHeader(header, value, `must be within 1 and ${max}`);
  return number;
}
