#!/usr/bin/env python3
"""knn.h from Python, with nothing but ctypes: the three nearest of five points in a plane.

knn.py [PATH OF libwaggle.so]
"""
import ctypes
import sys
from ctypes import POINTER, byref, c_char_p, c_float, c_int, c_size_t, c_uint64, c_void_p

WG_EUCLIDEAN = 2


class KnnParams(ctypes.Structure):
    """wg_knn_params. Its size comes first, so a library that knows more fields fills them in."""
    _fields_ = [('size', c_size_t), ('metric', c_int), ('k', c_size_t), ('dim', c_size_t),
                ('rows', POINTER(c_float)), ('row_count', c_size_t),
                ('queries', POINTER(c_float)), ('query_count', c_size_t),
                ('timeout_ms', c_uint64), ('cancel', c_void_p)]


waggle = ctypes.CDLL(sys.argv[1] if len(sys.argv) > 1 else 'libwaggle.so.0')
waggle.wg_message.restype = waggle.wg_version.restype = c_char_p
waggle.wg_context_create.argtypes = [c_void_p, POINTER(c_void_p)]
waggle.wg_context_destroy.argtypes = [POINTER(c_void_p)]
waggle.wg_knn_params_init_sized.argtypes = [POINTER(KnnParams), c_size_t]
waggle.wg_knn.argtypes = [c_void_p, POINTER(KnnParams), POINTER(c_uint64), POINTER(c_float)]


def check(err):
    if err != 0:
        sys.exit('knn.py: ' + waggle.wg_message().decode())


points = (c_float * 10)(0, 0, 1, 0, 0, 2, 3, 3, 5, 1)
query = (c_float * 2)(1, 1)
rows, distances = (c_uint64 * 3)(), (c_float * 3)()

context, params = c_void_p(), KnnParams()
check(waggle.wg_context_create(None, byref(context)))
waggle.wg_knn_params_init_sized(params, ctypes.sizeof(params))
params.metric, params.k, params.dim = WG_EUCLIDEAN, 3, 2
params.rows, params.row_count = points, 5
params.queries, params.query_count = query, 1
check(waggle.wg_knn(context, params, rows, distances))
print(f'Waggle {waggle.wg_version().decode()} from Python')
for row, distance in zip(rows, distances):
    print(f'point {row} at distance {distance:.3f}')
waggle.wg_context_destroy(context)
