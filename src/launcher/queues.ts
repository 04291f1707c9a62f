export interface QueueConfig {
  binding: string;
  name: string;
  maxBatchSize: number;
  maxRetries: number;
  retryDelaySeconds: number;
  maxConcurrency: number;
  deadLetterQueue?: string;
}

/** The same values as in wrangler.jsonc; a test compares them. */
export const QUEUES: readonly QueueConfig[] = [
  {
    binding: 'INGEST',
    name: 'repoint-ingest',
    maxBatchSize: 100,
    maxRetries: 20,
    retryDelaySeconds: 2,
    maxConcurrency: 4,
    deadLetterQueue: 'repoint-dead-letter',
  },
  {
    binding: 'DEAD_LETTER',
    name: 'repoint-dead-letter',
    maxBatchSize: 100,
    maxRetries: 100,
    retryDelaySeconds: 60,
    maxConcurrency: 1,
  },
];
