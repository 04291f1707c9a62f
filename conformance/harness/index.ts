import assert from 'node:assert/strict';

export { suite, type CaseOptions, type SuiteBuilder, type SuiteInfo, type Vendor } from './suite.ts';
export type { CaseContext, PrivateServer, SuiteContext } from './context.ts';
export type { ClockControl } from './clock.ts';
export type { Environment } from './environment.ts';
export type { FetchHandler, Served } from './serve.ts';
export { until, type UntilOptions } from './until.ts';

/** node:assert/strict: `expect.equal(actual, expected)`, `expect.deepEqual`, `expect.match`, `expect.rejects`, `expect(value)`. */
export const expect: typeof assert = assert;
