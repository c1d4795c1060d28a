"""WatchUsers: not there yet, and said so in the way of every other error."""

import user_service_pb2 as pb

from refusals import refused


def test_a_watch_is_not_there_yet(users):
    refused(lambda: users.WatchUsers(pb.WatchUsersRequest()), "UNIMPLEMENTED", "UNIMPLEMENTED")
