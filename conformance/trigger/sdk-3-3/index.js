export * from '@trigger.dev/sdk/v3';
