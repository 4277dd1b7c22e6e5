import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';

// Its plain JavaScript backend would print that faster ones exist.
tf.enableProdMode();

/** TensorFlow.js with the backend that needs nothing but npm. */
export const plainTfjs = tf;
