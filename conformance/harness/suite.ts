import type { CaseContext, SuiteContext } from './context.ts';

export type Vendor = 'inngest' | 'trigger' | 'qstash' | 'native';

export interface SuiteInfo {
  vendor: Vendor;
  name: string;
  /** The unmodified artefact that drives the cases, with its version: `inngest 4.24.0`. */
  sdk: string;
}

export interface CaseOptions {
  /** Default DEFAULT_CASE_TIMEOUT_MS, real time. */
  timeoutMs?: number;
  /** Why the case does not run. Printed and reported. */
  skip?: string;
  /** Takes many seconds of real time: runs with `--slow` only. */
  slow?: boolean;
  /** The case provokes an answer 500 of the server on purpose. */
  allowServerErrors?: boolean;
}

export interface ConformanceCase {
  /** Rows of the vendor's feature list that it shows, `I-22`, `T-13`, `Q-8`; `N-…` for the native surface. */
  ids: string[];
  title: string;
  body: (context: CaseContext) => Promise<void> | void;
  options: CaseOptions;
}

export interface Suite {
  info: SuiteInfo;
  /** Path of the file that declared it, set by the runner. */
  file: string;
  beforeAll: Array<(context: SuiteContext) => Promise<void> | void>;
  afterAll: Array<(context: SuiteContext) => Promise<void> | void>;
  cases: ConformanceCase[];
}

export interface SuiteBuilder {
  beforeAll(hook: (context: SuiteContext) => Promise<void> | void): void;
  afterAll(hook: (context: SuiteContext) => Promise<void> | void): void;
  case(ids: string[], title: string, body: (context: CaseContext) => Promise<void> | void, options?: CaseOptions): void;
}

/** Thrown by a case that finds out only when it runs that it cannot: reported as skipped, with the reason. */
export class Skip extends Error {}

export const DEFAULT_CASE_TIMEOUT_MS = 30_000;

const declared: Suite[] = [];

/** Declares a suite; a file may declare several (one per SDK version). The runner collects them after importing the file. */
export function suite(info: SuiteInfo, define: (builder: SuiteBuilder) => void): void {
  const entry: Suite = { info, file: '', beforeAll: [], afterAll: [], cases: [] };
  define({
    beforeAll: (hook) => void entry.beforeAll.push(hook),
    afterAll: (hook) => void entry.afterAll.push(hook),
    case: (ids, title, body, options = {}) => {
      if (ids.length === 0) throw new Error(`case "${title}" names no row`);
      entry.cases.push({ ids, title, body, options });
    },
  });
  declared.push(entry);
}

/** Takes what has been declared since the last call. */
export function takeDeclaredSuites(file: string): Suite[] {
  const taken = declared.splice(0);
  for (const entry of taken) entry.file = file;
  return taken;
}
