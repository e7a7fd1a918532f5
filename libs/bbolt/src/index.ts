export { bucket, type Bucket } from './bucket.ts';
export { readBolt, type BoltBucket } from './read-bolt.ts';
export { writeBolt } from './write-bolt.ts';
