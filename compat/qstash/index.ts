export { EXECUTOR as QSTASH_EXECUTOR } from './constants.ts';
export { qstashExecutor } from './executor.ts';
export { qstashRoutes } from './router.ts';
export { qstashTranslator } from './translator.ts';
