export { qstashKeys } from './environment-keys.ts';
export { qstashExecutor } from './executor.ts';
export { qstashRoutes } from './router.ts';
export { qstashTranslator } from './translator.ts';
